import Foundation

/// Closes a file or folder that is locked, and gives the lock back. Closing alone would not always: a child process that has just
/// begun holds what this one has opened, until it becomes another program. Returns what `close` does.
@discardableResult
public func closeLocked(_ descriptor: Int32) -> Int32 {
    flock(descriptor, LOCK_UN)
    return close(descriptor)
}

/// Whether a path leads to the file that is open.
func isFile(_ descriptor: Int32, at path: String) -> Bool {
    var (opened, named) = (stat(), stat())
    return fstat(descriptor, &opened) == 0 && stat(path, &named) == 0
        && (opened.st_dev, opened.st_ino) == (named.st_dev, named.st_ino)
}
