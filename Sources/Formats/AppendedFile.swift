import Foundation

/// A file that is only ever appended to, as logs are.
///
/// What one call appends goes to the end of the file at once, so that texts of several threads or processes are never mixed.
public final class AppendedFile: Sendable {
    /// Where it is.
    public let path: String
    private let descriptor: Int32

    /// Opens the file, and creates it if there is none; throws a `FileError`.
    public init(path: String) throws {
        self.path = path
        descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw FileError.system(path, "cannot be written", code: errno) }
    }

    deinit { close(descriptor) }

    /// Appends bytes. Throws a `FileError` if they can't be written, as when the disk is full; then none of them stays in the file.
    public func append(_ bytes: [UInt8]) throws {
        var written = write(descriptor, bytes, bytes.count)
        while written < 0, errno == EINTR { written = write(descriptor, bytes, bytes.count) }
        guard written == bytes.count else {
            // What was cut off comes without an error code, and only for want of space.
            let code = written < 0 ? errno : ENOSPC
            if written > 0 { ftruncate(descriptor, lseek(descriptor, 0, SEEK_END) - off_t(written)) }
            throw FileError.system(path, "cannot be written", code: code)
        }
    }

    /// Waits until all that was appended is on the disk; throws a `FileError`.
    public func synchronize() throws {
        guard fsync(descriptor) == 0 else { throw FileError.system(path, "cannot be written", code: errno) }
    }
}
