import Foundation

/// Closes a locked file or folder and releases its lock. Closing alone would not always suffice: a newly forked child
/// process holds the same descriptors until it executes another program. Returns the result of `close`.
@discardableResult
public func closeLocked(_ descriptor: Int32) -> Int32 {
    flock(descriptor, LOCK_UN)
    return close(descriptor)
}

/// Whether a path refers to the open file.
func isFile(_ descriptor: Int32, at path: String) -> Bool {
    var (opened, named) = (stat(), stat())
    return fstat(descriptor, &opened) == 0 && stat(path, &named) == 0
        && (opened.st_dev, opened.st_ino) == (named.st_dev, named.st_ino)
}
