import Formats
import Foundation

/// The measurements of one step: a line of `metrics.jsonl`.
public struct MetricsRow: Sendable, Equatable {
    /// The training step.
    public var step: Int
    /// The stage, given by its method's name: `align`, `selfguided`.
    public var stage: String
    /// The values by name; NaN and infinities are kept.
    public var values: [String: Double]

    /// Creates a row.
    public init(step: Int, stage: String, values: [String: Double]) {
        self.step = step
        self.stage = stage
        self.values = values
    }

    /// Parses a line; nil if it is not a row.
    init?(line: UnsafeRawBufferPointer) {
        guard let members = try? JSONValue(parsing: line).members else { return nil }
        var step: Int?
        var stage: String?
        values = [:]
        for member in members {
            switch (member.key, member.value) {
            case ("step", let value): step = value.int
            case ("stage", let value): stage = value.string
            case (let name, .string("nan")): values[name] = .nan
            case (let name, .string("inf")): values[name] = .infinity
            case (let name, .string("-inf")): values[name] = -.infinity
            case (let name, let value):
                guard let number = value.double else { return nil }
                values[name] = number
            }
        }
        guard let step, let stage else { return nil }
        self.step = step
        self.stage = stage
    }
}

extension MetricsLog {
    /// All rows of a metrics file, in order; an incomplete line at the end, as left by a crash, is ignored.
    ///
    /// Throws a `FileError` if the file cannot be read or a complete line is not a row.
    public static func read(path: String) throws -> [MetricsRow] {
        try MappedFile(path: path).withBytes { bytes in
            try completeLines(of: bytes).enumerated().map { index, line in
                guard let row = MetricsRow(line: UnsafeRawBufferPointer(rebasing: bytes[line])) else {
                    throw FileError(
                        path, "line \(index + 1) is not a row of metrics", remedy: "remove this line to go on")
                }
                return row
            }
        }
    }

    /// Removes the lines after step `last`, from which a run is about to be continued.
    ///
    /// Incomplete and unreadable lines are dropped too. The file is replaced as a whole, so a crash leaves either the
    /// old or the new one; if there is nothing to remove or no file, nothing is written. No `MetricsLog` may be open on
    /// it. Throws a `FileError` if the file cannot be read or replaced.
    public static func cutBack(path: String, toStep last: Int) throws {
        guard access(path, F_OK) == 0 else { return }
        try MappedFile(path: path).withBytes { bytes in
            let kept = completeLines(of: bytes).filter { line in
                MetricsRow(line: UnsafeRawBufferPointer(rebasing: bytes[line])).map { $0.step <= last } ?? false
            }
            try replace(path, by: kept, of: bytes)
        }
    }

    /// Drops what follows the last newline of a file, if it exists; devices such as `/dev/null` have no lines.
    static func dropTornLine(path: String) throws {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return }
        try MappedFile(path: path).withBytes { bytes in
            guard let last = bytes.last, last != UInt8(ascii: "\n") else { return }
            try replace(path, by: completeLines(of: bytes), of: bytes)
        }
    }

    private static func replace(_ path: String, by lines: [Range<Int>], of bytes: UnsafeRawBufferPointer) throws {
        guard lines.reduce(0, { $0 + $1.count + 1 }) != bytes.count else { return }
        try AtomicFile.write(to: path) { file in
            for line in lines {
                let withNewline = line.lowerBound..<line.upperBound + 1
                try file.write(UnsafeRawBufferPointer(rebasing: bytes[withNewline]))
            }
        }
    }

    /// The ranges of all lines that end with a newline, without it.
    private static func completeLines(of bytes: UnsafeRawBufferPointer) -> [Range<Int>] {
        var lines: [Range<Int>] = []
        var start = 0
        for (index, byte) in bytes.enumerated() where byte == UInt8(ascii: "\n") {
            lines.append(start..<index)
            start = index + 1
        }
        return lines
    }
}
