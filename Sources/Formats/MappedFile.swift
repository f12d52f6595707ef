import Foundation

/// A file mapped into memory, read-only.
///
/// If another process shortens a file while it is mapped, the program ends with SIGBUS; Transcend itself never shortens
/// a file but replaces it (`AtomicFile`).
public final class MappedFile: @unchecked Sendable {
    /// The path as given.
    public let path: String
    /// The length in bytes.
    public let count: Int

    private let start: UnsafeMutableRawPointer?

    /// Maps the regular file at `path`; throws a `FileError` if that cannot be done.
    public init(path: String) throws {
        // Does not wait for the other end of a pipe, which is refused below.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw FileError.system(path, "cannot be opened", code: errno) }
        defer { close(descriptor) }

        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileError.system(path, "cannot be read", code: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw FileError(path, "is not a regular file", remedy: "give the path of a file")
        }
        let count = Int(status.st_size)
        if count == 0 {
            start = nil
        } else {
            let mapped = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0)
            guard let mapped, mapped != MAP_FAILED else {
                throw FileError.system(path, "cannot be mapped", code: errno)
            }
            start = mapped
        }
        self.path = path
        self.count = count
    }

    deinit {
        if let start { munmap(start, count) }
    }

    /// The bytes, valid as long as this object is alive (use `withExtendedLifetime` where in doubt).
    public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }

    /// Tells the system that the file is read at random positions, so that it reads only what is accessed. With
    /// read-ahead, mapping many files and reading their headers would read most of them.
    public func expectRandomAccess() {
        if let start { madvise(start, count, MADV_RANDOM) }
    }

    /// Tells the system that these bytes are read next, so that they are read from the disk in one piece.
    public func willRead(_ range: Range<Int>) {
        guard let start, !range.isEmpty else { return }
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        // A page begins at a multiple of the page size.
        let first = range.lowerBound / Self.pageSize * Self.pageSize
        madvise(start + first, range.upperBound - first, MADV_WILLNEED)
    }

    private static let pageSize = sysconf(Int32(_SC_PAGESIZE))

    /// Calls `body` with the bytes, which are valid until it returns.
    public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try withExtendedLifetime(self) { try body(bytes) }
    }
}
