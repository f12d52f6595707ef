import Foundation

/// What was measured at one step.
public struct MetricsRow: Sendable, Equatable {
    /// The training step.
    public var step: Int
    /// The stage of the pipeline, `align` or `selfguided`.
    public var stage: String
    /// The values by name; NaN and infinities are kept.
    public var values: [String: Double]

    /// A row.
    public init(step: Int, stage: String, values: [String: Double]) {
        self.step = step
        self.stage = stage
        self.values = values
    }
}

/// The file `metrics.jsonl` of a run: one JSON object a line, only ever appended to.
///
///     {"step":1200,"stage":"align","loss":0.412,"images_per_second":210.5}
///
/// Each line is written by one call to the end of the file, so that lines of several threads or processes are never
/// mixed. Numbers are the shortest that read back as the same bits; NaN and infinities, which JSON lacks, are the
/// strings `"nan"`, `"inf"` and `"-inf"`.
public final class MetricsLog: Sendable {
    /// The file.
    public let path: String
    private let descriptor: Int32

    /// Opens the file for appending, creates it if there is none, and drops an incomplete line at its end.
    ///
    /// Throws `MetricsError` if the file can't be opened or written.
    public init(path: String) throws {
        self.path = path
        descriptor = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw MetricsError.system("open", path: path) }
        do {
            try dropTornLine()
        } catch {
            close(descriptor)
            throw error
        }
    }

    deinit {
        close(descriptor)
    }

    /// Appends a line: `step`, `stage`, then the values in their order.
    ///
    /// Names occur once and are neither `step` nor `stage`. Throws `MetricsError` if the line can't be written, as
    /// when the disk is full; then nothing of it stays in the file.
    public func append(step: Int, stage: String, values: [(name: String, value: Double)]) throws {
        let names = Set(values.map(\.name)).union(["step", "stage"])
        precondition(names.count == values.count + 2, "each metric has a name of its own, not 'step' nor 'stage'")
        var line = "{\"step\":\(step),\"stage\":\(quoted(stage))"
        for (name, value) in values { line += ",\(quoted(name)):\(value.isFinite ? "\(value)" : "\"\(value)\"")" }
        line += "}\n"

        var bytes = Array(line.utf8)
        var written = write(descriptor, &bytes, bytes.count)
        while written < 0, errno == EINTR { written = write(descriptor, &bytes, bytes.count) }
        guard written == bytes.count else {
            // What a full disk cut off is not an error of its own.
            let reason = written < 0 ? errno : ENOSPC
            if written > 0 { try? dropTornLine() }
            throw MetricsError.system("write to", path: path, code: reason)
        }
    }

    /// Waits until all lines are on the disk, as a checkpoint wants that is to be continued from.
    public func synchronize() throws {
        guard fsync(descriptor) == 0 else { throw MetricsError.system("write to", path: path) }
    }

    /// Shortens the file to its last newline.
    private func dropTornLine() throws {
        let size = lseek(descriptor, 0, SEEK_END)
        var end = size
        var block = [UInt8](repeating: 0, count: 4096)
        while end > 0 {
            let start = max(0, end - 4096)
            let count = pread(descriptor, &block, Int(end - start), start)
            guard count == end - start else { throw MetricsError.system("read", path: path) }
            if let newline = block[..<count].lastIndex(of: UInt8(ascii: "\n")) {
                end = start + newline + 1
                break
            }
            end = start
        }
        guard end == size || ftruncate(descriptor, end) == 0 else { throw MetricsError.system("shorten", path: path) }
    }
}

/// Why a metrics file could not be used.
public enum MetricsError: Error, Equatable, CustomStringConvertible, LocalizedError {
    /// The system refused: what was tried, the file, the system's words.
    case system(action: String, path: String, reason: String)
    /// A line is not a row of metrics; lines are counted from 1.
    case damagedLine(path: String, line: Int)

    static func system(_ action: String, path: String, code: Int32 = errno) -> MetricsError {
        .system(action: action, path: path, reason: String(cString: strerror(code)))
    }

    /// One sentence: what, where, what to do.
    public var description: String {
        switch self {
        case .system(let action, let path, let reason):
            "Could not \(action) '\(path)' (\(reason)); check that the folder exists, is writable and has space left."
        case .damagedLine(let path, let line):
            "Line \(line) of '\(path)' is not a row of metrics; remove this line to go on."
        }
    }

    /// The same as `description`.
    public var errorDescription: String? { description }
}

/// A JSON string.
private func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"", "\\": result += "\\\(scalar)"
        case _ where scalar.value < 0x20: result += String(format: "\\u%04x", scalar.value)
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}
