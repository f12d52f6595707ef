import Foundation

/// Makes a folder and those above it, where they are not there yet; throws a `FileError`. Returns whether it was made.
@discardableResult
public func makeFolder(_ path: String) throws -> Bool {
    if mkdir(path, 0o777) == 0 { return true }
    var code = errno
    let parent = URL(fileURLWithPath: path).deletingLastPathComponent().path
    if code == ENOENT, parent != path {
        try makeFolder(parent)
        if mkdir(path, 0o777) == 0 { return true }
        code = errno
    }
    var status = stat()
    if code == EEXIST {
        if stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { return false }
        throw FileError(path, "is no folder", remedy: "remove it or choose another place")
    }
    // A file among the folders above is an error of its own for those who look for the place.
    if code == ENOTDIR { throw FileError(path, "lies below a file", remedy: "choose another place") }
    throw FileError.system(path, "cannot be made as a folder", code: code)
}

/// Puts the names in a folder on the disk; throws a `FileError`.
public func synchronizeFolder(_ path: String) throws {
    let folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard folder >= 0 else { throw FileError.system(path, "cannot be opened", code: errno) }
    defer { close(folder) }
    // Some file systems cannot sync a folder (EINVAL).
    if fsync(folder) != 0, errno != EINVAL { throw FileError.system(path, "cannot be synced", code: errno) }
}
