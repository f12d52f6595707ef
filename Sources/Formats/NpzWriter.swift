import CZlib

/// A `.npz` file whose arrays grow while they are written, as the samples of a generator do.
///
/// The archive is stored, not deflated, and Zip64 throughout, so that arrays may exceed 4 GiB. The file appears under its
/// name with `finish()`; without it nothing is left. Not for use from two threads at a time.
public final class NpzWriter {
    private struct Entry {
        var name: String
        var type: ElementType
        var itemShape: [Int]
        var offset: Int
        var headerCount: Int
        var dataCount = 0
        var crc: UInt32 = 0

        var itemBytes: Int { type.byteCount(shape: itemShape) ?? 0 }
        var headerOffset: Int { offset + 30 + name.utf8.count + NpzWriter.extraCount }
        var count: Int { headerCount + dataCount }
    }

    /// The Zip64 field with two sizes that each local header has.
    private static let extraCount = 20

    private let writer: FileWriter
    private var entries: [Entry] = []

    /// Starts a file; throws a `FileError` if it cannot be written there.
    public init(path: String) throws {
        writer = try FileWriter(path: path)
    }

    deinit { writer.abandon() }

    /// Begins the next array, of shape [number of items, itemShape...]; NumPy's own name of an only array is "arr_0".
    public func beginArray(_ name: String = "arr_0", type: ElementType = .U8, itemShape: [Int]) throws {
        precondition(!entries.contains { $0.name == name + ".npy" }, "array names have to be unique")
        precondition((type.byteCount(shape: itemShape) ?? 0) > 0, "impossible shape \(itemShape)")
        // The longest number of items decides the header's length, so that the number can be put in afterwards.
        let header = NumpyFile.header(type: type, shape: [.max] + itemShape)
        let entry = Entry(
            name: name + ".npy", type: type, itemShape: itemShape, offset: writer.offset, headerCount: header.count)
        entries.append(entry)
        try writer.write(localHeader(entry))
        try writer.write(header)
    }

    /// Appends whole items to the array begun last; throws a `FileError`, for example if the disk is full.
    public func append(_ items: UnsafeRawBufferPointer) throws {
        precondition(!entries.isEmpty, "an array has to be begun first")
        let index = entries.count - 1
        precondition(items.count % entries[index].itemBytes == 0, "only whole items can be appended")
        let bytes = items.assumingMemoryBound(to: UInt8.self)
        entries[index].crc = czlib_crc32(entries[index].crc, bytes.baseAddress, bytes.count)
        entries[index].dataCount += items.count
        try writer.write(items)
    }

    /// Appends whole items to the array begun last; throws a `FileError`, for example if the disk is full.
    public func append(_ items: [UInt8]) throws {
        try items.withUnsafeBytes { try append($0) }
    }

    /// Fills in the numbers of items and gives the file its name; nothing can be written afterwards.
    public func finish() throws {
        let start = writer.offset
        for index in entries.indices {
            var entry = entries[index]
            let header = NumpyFile.header(
                type: entry.type, shape: [entry.dataCount / entry.itemBytes] + entry.itemShape,
                length: entry.headerCount)
            let crc = header.withUnsafeBufferPointer { czlib_crc32(0, $0.baseAddress, $0.count) }
            entry.crc = czlib_crc32_combine(crc, entry.crc, UInt64(entry.dataCount))
            try writer.replace(at: entry.offset, with: localHeader(entry))
            try writer.replace(at: entry.headerOffset, with: header)
            entries[index] = entry
        }
        for entry in entries { try writer.write(listRecord(entry)) }
        try writer.write(endRecords(listStart: start, listCount: writer.offset - start))
        try writer.commit()
    }

    // Version 4.5 (45) is the first that knows Zip64; the date is 1980-01-01, so that the same arrays give the same bytes.

    private func localHeader(_ entry: Entry) -> [UInt8] {
        var record = ZipRecord(signature: 0x0403_4B50)
        record.add16(45, 0, 0, 0, 0x21)
        record.add32(entry.crc, .max, .max)
        record.add16(UInt16(entry.name.utf8.count), UInt16(Self.extraCount))
        record.bytes += entry.name.utf8
        record.add16(1, 16)
        record.add64(entry.count, entry.count)
        return record.bytes
    }

    private func listRecord(_ entry: Entry) -> [UInt8] {
        var record = ZipRecord(signature: 0x0201_4B50)
        record.add16(45, 45, 0, 0, 0, 0x21)
        record.add32(entry.crc, .max, .max)
        record.add16(UInt16(entry.name.utf8.count), 28, 0, 0, 0)
        record.add32(0, .max)
        record.bytes += entry.name.utf8
        record.add16(1, 24)
        record.add64(entry.count, entry.count, entry.offset)
        return record.bytes
    }

    private func endRecords(listStart: Int, listCount: Int) -> [UInt8] {
        var long = ZipRecord(signature: 0x0606_4B50)
        long.add64(44)
        long.add16(45, 45)
        long.add32(0, 0)
        long.add64(entries.count, entries.count, listCount, listStart)
        var locator = ZipRecord(signature: 0x0706_4B50)
        locator.add32(0)
        locator.add64(listStart + listCount)
        locator.add32(1)
        var end = ZipRecord(signature: 0x0605_4B50)
        end.add16(0, 0, .max, .max)
        end.add32(.max, .max)
        end.add16(0)
        return long.bytes + locator.bytes + end.bytes
    }
}

/// The bytes of one record of a ZIP archive: little-endian numbers one after the other.
private struct ZipRecord {
    var bytes: [UInt8] = []

    init(signature: UInt32) { add32(signature) }

    mutating func add16(_ numbers: UInt16...) { for number in numbers { add(number) } }
    mutating func add32(_ numbers: UInt32...) { for number in numbers { add(number) } }
    mutating func add64(_ numbers: Int...) { for number in numbers { add(UInt64(number)) } }

    private mutating func add(_ number: some FixedWidthInteger) {
        withUnsafeBytes(of: number.littleEndian) { bytes += $0 }
    }
}
