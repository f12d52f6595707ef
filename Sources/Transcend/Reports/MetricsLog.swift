import Formats
import Foundation

/// The file `metrics.jsonl` of a run: one JSON object a line, only ever appended to.
///
///     {"step":1200,"stage":"align","denoisingLoss":0.412,"imagesPerSecond":210.5}
///
/// Each line is written by one call to the end of the file, so that lines of several threads or processes are never
/// mixed. Numbers are the shortest that read back as the same bits; NaN and infinities, which JSON lacks, are the
/// strings `"nan"`, `"inf"` and `"-inf"`.
public final class MetricsLog: Sendable {
    /// The file.
    public let path: String
    private let descriptor: Int32

    /// Opens the file for appending and creates it if there is none; an incomplete line at its end, as a crash leaves
    /// it, is dropped first. Throws a `FileError`.
    public init(path: String) throws {
        try Self.dropTornLine(path: path)
        self.path = path
        descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw FileError.system(path, "cannot be written", code: errno) }
    }

    deinit {
        close(descriptor)
    }

    /// Appends a line: `step`, `stage`, then the values in their order.
    ///
    /// Names occur once and are neither `step` nor `stage`. Throws a `FileError` if the line can't be written, as when
    /// the disk is full; then nothing of it stays in the file.
    public func append(step: Int, stage: String, values: [(name: String, value: Double)]) throws {
        let names = Set(values.map(\.name)).union(["step", "stage"])
        precondition(names.count == values.count + 2, "each metric has a name of its own, not 'step' nor 'stage'")
        var members = [JSONValue.Member("step", .int(Int64(step))), JSONValue.Member("stage", .string(stage))]
        for (name, value) in values {
            members.append(
                JSONValue.Member(name, value.isFinite ? .number(value) : .string(value.isNaN ? "nan" : "\(value)")))
        }
        let bytes = Array((JSONValue.object(members).text() + "\n").utf8)

        var written = write(descriptor, bytes, bytes.count)
        while written < 0, errno == EINTR { written = write(descriptor, bytes, bytes.count) }
        guard written == bytes.count else {
            // A line that was cut off comes without an error code, and only for want of space.
            let code = written < 0 ? errno : ENOSPC
            if written > 0 { ftruncate(descriptor, lseek(descriptor, 0, SEEK_END) - written) }
            throw FileError.system(path, "cannot be written", code: code)
        }
    }

    /// Waits until all lines are on the disk, so that they are as durable as the checkpoint of their step.
    public func synchronize() throws {
        guard fsync(descriptor) == 0 else { throw FileError.system(path, "cannot be written", code: errno) }
    }
}
