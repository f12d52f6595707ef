import Foundation

/// A file that is only ever appended to, such as a log.
///
/// Each call appends its bytes in a single write, so texts of several threads or processes are never interleaved.
public final class AppendedFile: Sendable {
    /// The path of the file.
    public let path: String
    private let descriptor: Int32

    /// Opens the file, creating it if necessary; throws a `FileError`.
    public init(path: String) throws {
        self.path = path
        descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw FileError.system(path, "cannot be written", code: errno) }
    }

    deinit { close(descriptor) }

    /// Appends bytes. Throws a `FileError` if they cannot be written, for example because the disk is full; then none
    /// of them stays in the file.
    public func append(_ bytes: [UInt8]) throws {
        var written = write(descriptor, bytes, bytes.count)
        while written < 0, errno == EINTR { written = write(descriptor, bytes, bytes.count) }
        guard written == bytes.count else {
            // A short write returns no error code, and happens only for want of space.
            let code = written < 0 ? errno : ENOSPC
            if written > 0 { ftruncate(descriptor, lseek(descriptor, 0, SEEK_END) - off_t(written)) }
            throw FileError.system(path, "cannot be written", code: code)
        }
    }

    /// Waits until everything appended is on the disk; throws a `FileError`.
    public func synchronize() throws {
        guard fsync(descriptor) == 0 else { throw FileError.system(path, "cannot be written", code: errno) }
    }
}
