import Foundation

/// Writes files that are either complete or absent.
public enum AtomicFile {
    /// Writes a file under a temporary name beside `path`, syncs it, renames it to `path` and syncs the folder.
    ///
    /// After any error, from `body` or the disk (a `FileError`), `path` is as it was and the temporary file is gone.
    public static func write<Result>(to path: String, _ body: (FileWriter) throws -> Result) throws -> Result {
        let writer = try FileWriter(path: path)
        do {
            let result = try body(writer)
            try writer.commit()
            return result
        } catch {
            writer.abandon()
            throw error
        }
    }

    /// Writes existing bytes in the same way.
    public static func write(_ bytes: [UInt8], to path: String) throws { try write(to: path) { try $0.write(bytes) } }

    /// Writes a text as UTF-8 in the same way.
    public static func write(_ text: String, to path: String) throws { try write(Array(text.utf8), to: path) }

    /// Throws a `FileError` if no file can be written at `path`, so that this is known before work starts. Leaves
    /// nothing there.
    public static func check(_ path: String) throws {
        var status = stat()
        if stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
            throw FileError(path, "is a folder", remedy: "choose another name")
        }
        try FileWriter(path: path).abandon()
    }
}

/// A buffered writer of a file that appears under its name only when it is committed.
///
/// Not for use from two threads at a time. A writer released without `commit()` leaves nothing behind, unless its file
/// is to be continued.
public final class FileWriter {
    /// The path that the file will have.
    public let path: String
    /// The number of bytes written so far.
    public private(set) var offset = 0
    /// The checksum of the bytes in the order in which they were written; `replace` does not change it.
    public private(set) var checksum = Checksum()

    /// The mark in the names of files being written, after their final name.
    public static let partialMark = ".partial-"

    private static let bufferCount = 1 << 20

    private let temporaryPath: String
    /// Whether the unfinished file outlives the process, to be continued.
    private let isKept: Bool
    private var descriptor: Int32
    private var buffer: [UInt8] = []

    /// Opens `.NAME.partial-PID` beside `path`; throws a `FileError`.
    init(path: String) throws {
        temporaryPath = Self.beside(path, Self.partialMark + "\(getpid())")
        (self.path, isKept) = (path, false)
        descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw FileError.system(path, "cannot be written", code: errno) }
    }

    /// Opens `unfinishedPath(of: path)`, which stays if the writer or the process ends early. The bytes of an earlier
    /// process are still there, from the beginning: overwrite or `adopt` them. Throws a `FileError`, also while another
    /// process writes.
    init(continuing path: String) throws {
        temporaryPath = Self.unfinishedPath(of: path)
        (self.path, isKept) = (path, true)
        descriptor = open(temporaryPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw FileError.system(path, "cannot be written", code: errno) }
        // Between opening and locking the file, another process may have finished and renamed it.
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0, isFile(descriptor, at: temporaryPath) else {
            closeLocked(descriptor)
            descriptor = -1
            throw FileError(path, "is being written by another process", remedy: "wait for it, or choose another name")
        }
    }

    /// The path `.NAME.unfinished`, beside the file, of a file that another process can continue.
    public static func unfinishedPath(of path: String) -> String { beside(path, ".unfinished") }

    private static func beside(_ path: String, _ mark: String) -> String {
        let location = URL(fileURLWithPath: path)
        return location.deletingLastPathComponent().appendingPathComponent("." + location.lastPathComponent + mark).path
    }

    deinit { abandon() }

    /// Appends bytes; throws a `FileError`, such as "no space left on device".
    public func write(_ bytes: UnsafeRawBufferPointer) throws {
        if buffer.count + bytes.count > Self.bufferCount { try flush() }
        if bytes.count >= Self.bufferCount {
            try drain(bytes)
        } else {
            buffer.append(contentsOf: bytes)
        }
        checksum.add(bytes)
        offset += bytes.count
    }

    /// Appends bytes; throws a `FileError`, such as "no space left on device".
    public func write(_ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { try write($0) }
    }

    /// Overwrites bytes already written, from `position` on; `offset` stays.
    public func replace(at position: Int, with bytes: [UInt8]) throws {
        precondition(position >= 0 && position + bytes.count <= offset, "only written bytes can be replaced")
        try flush()
        try check(lseek(descriptor, off_t(position), SEEK_SET) >= 0)
        try bytes.withUnsafeBytes { try drain($0) }
        try check(lseek(descriptor, off_t(offset), SEEK_SET) >= 0)
    }

    /// Keeps the next `count` bytes of the unfinished file as they are, and passes them to `receive` in parts. Returns
    /// false, after passing on what is there, if there are fewer.
    func adopt(_ count: Int, _ receive: (UnsafeRawBufferPointer) -> Void) throws -> Bool {
        try flush()
        var part = [UInt8](repeating: 0, count: Self.bufferCount)
        var left = count
        while left > 0 {
            let taken = read(descriptor, &part, min(left, part.count))
            if taken < 0 && errno == EINTR { continue }
            try check(taken >= 0)
            if taken == 0 { return false }
            part.withUnsafeBytes {
                let bytes = UnsafeRawBufferPointer(rebasing: $0[..<taken])
                checksum.add(bytes)
                receive(bytes)
            }
            offset += taken
            left -= taken
        }
        return true
    }

    /// Waits until everything written is on the disk; bytes of an earlier process after it are cut off.
    func synchronize() throws {
        try flush()
        try check(ftruncate(descriptor, off_t(offset)) == 0 && fsync(descriptor) == 0)
    }

    /// Makes the file durable and renames it to its final name; nothing can be written afterwards.
    func commit() throws {
        try synchronize()
        let code = rename(temporaryPath, path) == 0 ? 0 : errno
        closeLocked(descriptor)
        descriptor = -1
        guard code == 0 else {
            if !isKept { unlink(temporaryPath) }
            throw FileError.system(path, "cannot be written", code: code)
        }
        try synchronizeFolder(URL(fileURLWithPath: path).deletingLastPathComponent().path)
    }

    /// Closes the temporary file, and removes it unless it is to be continued; does nothing after `commit()`.
    func abandon() {
        guard descriptor >= 0 else { return }
        closeLocked(descriptor)
        if !isKept { unlink(temporaryPath) }
        descriptor = -1
    }

    private func flush() throws {
        try buffer.withUnsafeBytes { try drain($0) }
        buffer.removeAll(keepingCapacity: true)
    }

    private func drain(_ bytes: UnsafeRawBufferPointer) throws {
        precondition(descriptor >= 0, "the file has been finished")
        var rest = bytes[...]
        while let start = UnsafeRawBufferPointer(rebasing: rest).baseAddress, !rest.isEmpty {
            let written = Glibc.write(descriptor, start, rest.count)
            if written < 0 && errno == EINTR { continue }
            try check(written > 0)
            rest = rest.dropFirst(written)
        }
    }

    private func check(_ success: Bool) throws {
        guard success else { throw FileError.system(path, "cannot be written", code: errno) }
    }
}
