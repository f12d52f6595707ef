import CZlib

/// Writes a ZIP archive of stored entries, Zip64 throughout, so entries may exceed 4 GiB.
///
/// Entries grow while they are written and may have a head that is filled in later. The same content gives the same
/// bytes. The file appears under its name with `finish()`; without it nothing is left. Not for use from two threads at
/// a time.
final class ZipWriter {
    private struct Entry {
        var name: String
        var offset: Int
        /// The number of bytes in the local header that only align the content.
        var paddingCount: Int
        var head: [UInt8]
        var restCount = 0
        var rest = Checksum()

        var count: Int { head.count + restCount }
        var crc: UInt32 {
            let first = head.withUnsafeBufferPointer { czlib_crc32(0, $0.baseAddress, $0.count) }
            return czlib_crc32_combine(first, rest.value, UInt64(restCount))
        }
        var contentOffset: Int { offset + 30 + name.utf8.count + ZipWriter.sizesCount + paddingCount }
    }

    /// The size of the Zip64 field with two sizes in each local header.
    private static let sizesCount = 20

    private let writer: FileWriter
    private var entries: [Entry] = []

    /// Starts a file; throws a `FileError` if it cannot be written there.
    init(path: String) throws { writer = try FileWriter(path: path) }

    /// Continues, entry by entry, the file that an earlier process left unfinished, or starts one that can be continued.
    init(continuing path: String) throws { writer = try FileWriter(continuing: path) }

    deinit { writer.abandon() }

    /// Begins the next entry with the bytes `head`, at a multiple of `alignment` bytes.
    func begin(_ name: String, head: [UInt8] = [], alignment: Int = 1) throws {
        var entry = Entry(name: name, offset: writer.offset, paddingCount: 0, head: head)
        if alignment > 1 {
            // A field of the header has 4 bytes and its content.
            let unpadded = entry.contentOffset + 4
            entry.paddingCount = 4 + (alignment - unpadded % alignment) % alignment
        }
        entries.append(entry)
        try writer.write(localHeader(entry))
        try writer.write(head)
    }

    /// Appends bytes to the entry begun last; throws a `FileError`, for example if the disk is full.
    func append(_ content: UnsafeRawBufferPointer) throws {
        precondition(!entries.isEmpty, "an entry has to be begun first")
        let index = entries.count - 1
        entries[index].rest.add(content)
        entries[index].restCount += content.count
        try writer.write(content)
    }

    /// Keeps the next `count` bytes of the entry begun last as an earlier process left them; false if there are fewer.
    func adopt(_ count: Int) throws -> Bool {
        let index = entries.count - 1
        entries[index].restCount += count
        return try writer.adopt(count) { entries[index].rest.add($0) }
    }

    /// Waits until everything is on the disk; returns the checksum of the bytes appended to the entry begun last.
    func synchronize() throws -> Checksum {
        try writer.synchronize()
        return entries.last?.rest ?? Checksum()
    }

    /// Replaces the head of an entry, counted from 0, by one of equal length.
    func replaceHead(of index: Int, with head: [UInt8]) throws {
        precondition(head.count == entries[index].head.count, "a head keeps its length")
        entries[index].head = head
        try writer.replace(at: entries[index].contentOffset, with: head)
    }

    /// Fills in sizes and checksums and renames the file to its final name; nothing can be written afterwards.
    func finish() throws {
        let start = writer.offset
        for entry in entries { try writer.replace(at: entry.offset, with: localHeader(entry)) }
        for entry in entries { try writer.write(listRecord(entry)) }
        try writer.write(endRecords(listStart: start, listCount: writer.offset - start))
        try writer.commit()
    }

    // Version 4.5 (45) is the first with Zip64; the date is 1980-01-01, so that the same content gives the same bytes.

    private func localHeader(_ entry: Entry) -> [UInt8] {
        var record = ZipRecord(signature: 0x0403_4B50)
        record.add16(45, 0, 0, 0, 0x21)
        record.add32(entry.crc, .max, .max)
        record.add16(UInt16(entry.name.utf8.count), UInt16(Self.sizesCount + entry.paddingCount))
        record.bytes += entry.name.utf8
        record.add16(1, 16)
        record.add64(entry.count, entry.count)
        if entry.paddingCount > 0 {
            // PyTorch's own name of this field.
            record.add16(0x4246, UInt16(entry.paddingCount - 4))
            record.bytes += [UInt8](repeating: 0, count: entry.paddingCount - 4)
        }
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

/// The bytes of one record of a ZIP archive: little-endian numbers in a row.
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
