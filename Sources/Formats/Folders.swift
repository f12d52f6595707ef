import Foundation

/// Makes a folder and its missing parents; throws a `FileError`. Returns those that it made, the outermost first.
@discardableResult
public func makeFolder(_ path: String) throws -> [String] {
    if mkdir(path, 0o777) == 0 { return [path] }
    var code = errno
    let parent = URL(fileURLWithPath: path).deletingLastPathComponent().path
    if code == ENOENT, parent != path {
        let above = try makeFolder(parent)
        if mkdir(path, 0o777) == 0 { return above + [path] }
        code = errno
        removeEmptyFolders(above)
    }
    var status = stat()
    if code == EEXIST {
        if stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR { return [] }
        throw FileError(path, "is no folder", remedy: "remove it or choose another place")
    }
    // A file among the parents is an error of its own.
    if code == ENOTDIR { throw FileError(path, "lies below a file", remedy: "choose another place") }
    throw FileError.system(path, "cannot be made as a folder", code: code)
}

/// Removes the empty ones among folders that `makeFolder` made.
public func removeEmptyFolders(_ paths: [String]) { for path in paths.reversed() { rmdir(path) } }

/// Syncs a folder, so that the names in it are on the disk; throws a `FileError`.
public func synchronizeFolder(_ path: String) throws {
    let folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard folder >= 0 else { throw FileError.system(path, "cannot be opened", code: errno) }
    defer { close(folder) }
    // Some file systems cannot sync a folder (EINVAL).
    if fsync(folder) != 0, errno != EINVAL { throw FileError.system(path, "cannot be synced", code: errno) }
}
