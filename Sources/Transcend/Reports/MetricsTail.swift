import Formats
import Foundation

/// Follows a metrics file that another thread or process writes: each `update` reads only what has been added.
///
/// It never disturbs the writer. An incomplete last line is read once it is complete, and a line that is not a row is
/// ignored; when a run goes back to a checkpoint, so do the rows.
public struct MetricsTail: Sendable {
    /// The path of the file.
    public let path: String
    /// The rows read so far, by ascending step.
    public private(set) var rows: [MetricsRow] = []

    private var offset = 0
    private var node: ino_t = 0

    /// Creates a reader that has read nothing yet; the file may be missing.
    public init(path: String) {
        self.path = path
    }

    /// Reads what was added since the last call. Throws a `FileError` if the file exists but cannot be read.
    public mutating func update() throws {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        var status = stat()
        if descriptor < 0, errno == ENOENT { return restart(node: 0) }
        guard descriptor >= 0 else { throw FileError.system(path, "cannot be opened", code: errno) }
        defer { close(descriptor) }
        guard fstat(descriptor, &status) == 0 else { throw FileError.system(path, "cannot be read", code: errno) }
        if status.st_ino != node || Int(status.st_size) < offset { restart(node: status.st_ino) }
        try read(descriptor, count: Int(status.st_size) - offset)
    }

    private mutating func restart(node: ino_t) {
        (rows, offset, self.node) = ([], 0, node)
    }

    /// Reads rather than maps the file: if its writer shortens a mapped file, this process would be killed.
    private mutating func read(_ descriptor: Int32, count: Int) throws {
        guard count > 0 else { return }
        let bytes = try [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = pread(descriptor, buffer.baseAddress, count, off_t(offset))
            guard filled >= 0 else {
                filled = 0
                throw FileError.system(path, "cannot be read", code: errno)
            }
        }
        guard let end = bytes.lastIndex(of: UInt8(ascii: "\n")) else { return }
        offset += end + 1
        bytes.withUnsafeBytes { bytes in
            for line in bytes[..<end].split(separator: UInt8(ascii: "\n")) {
                if let row = MetricsRow(line: UnsafeRawBufferPointer(rebasing: line)) { append(row) }
            }
        }
    }

    private mutating func append(_ row: MetricsRow) {
        if let last = rows.last, last.step > row.step { rows.removeAll { $0.step >= row.step } }
        rows.append(row)
    }
}
