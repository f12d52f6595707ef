/// Writes a `.npz` file whose arrays grow while they are written, such as generated samples.
///
/// The archive is stored, not deflated, and Zip64 throughout, so arrays may exceed 4 GiB. The file appears under its
/// name with `finish()`; without it nothing is left. Not for use from two threads at a time.
public final class NpzWriter {
    private struct Entry {
        var name: String
        var type: ElementType
        var itemShape: [Int]
        var headerCount: Int
        var dataCount = 0

        var itemBytes: Int { type.byteCount(shape: itemShape) ?? 0 }
    }

    private let archive: ZipWriter
    private var entries: [Entry] = []

    /// Starts a file; throws a `FileError` if it cannot be written there.
    public init(path: String) throws {
        archive = try ZipWriter(path: path)
    }

    /// Starts a file that another process can continue, or continues one: its parts are in `FileWriter.unfinishedPath`,
    /// and stay there until `finish()`. Begin the same array, then `adopt` the existing items. Throws a `FileError`.
    public init(continuing path: String) throws {
        archive = try ZipWriter(continuing: path)
    }

    /// Begins the next array, of shape [number of items, itemShape...]; "arr_0" is NumPy's default name.
    public func beginArray(_ name: String = "arr_0", type: ElementType = .U8, itemShape: [Int]) throws {
        precondition(!entries.contains { $0.name == name }, "array names have to be unique")
        precondition((type.byteCount(shape: itemShape) ?? 0) > 0, "impossible shape \(itemShape)")
        // The header is sized for the longest number of items, so that the actual number can be filled in afterwards.
        let header = NumpyFile.header(type: type, shape: [.max] + itemShape)
        entries.append(Entry(name: name, type: type, itemShape: itemShape, headerCount: header.count))
        try archive.begin(name + ".npy", head: header)
    }

    /// Appends whole items to the array begun last; throws a `FileError`, for example if the disk is full.
    public func append(_ items: UnsafeRawBufferPointer) throws {
        precondition(!entries.isEmpty, "an array has to be begun first")
        let index = entries.count - 1
        precondition(items.count % entries[index].itemBytes == 0, "only whole items can be appended")
        entries[index].dataCount += items.count
        try archive.append(items)
    }

    /// Appends whole items to the array begun last; throws a `FileError`, for example if the disk is full.
    public func append(_ items: [UInt8]) throws {
        try items.withUnsafeBytes { try append($0) }
    }

    /// Keeps the next `count` items of the array begun last as an earlier process left them, if their checksum is the
    /// one that its `synchronize()` returned; otherwise returns false, and the file can no longer be continued.
    public func adopt(items count: Int, checksum: String) throws -> Bool {
        let index = entries.count - 1
        entries[index].dataCount += count * entries[index].itemBytes
        return try archive.adopt(count * entries[index].itemBytes) && archive.synchronize().text == checksum
    }

    /// Waits until everything is on the disk; returns the checksum of the items of the array begun last.
    public func synchronize() throws -> String { try archive.synchronize().text }

    /// Fills in the numbers of items and renames the file to its final name; nothing can be written afterwards.
    public func finish() throws {
        for (index, entry) in entries.enumerated() {
            let header = NumpyFile.header(
                type: entry.type, shape: [entry.dataCount / entry.itemBytes] + entry.itemShape,
                length: entry.headerCount)
            try archive.replaceHead(of: index, with: header)
        }
        try archive.finish()
    }
}
