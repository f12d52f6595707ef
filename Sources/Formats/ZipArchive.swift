import CZlib

/// A ZIP archive, mapped into memory: stored and deflated entries, Zip64, names in UTF-8 (PKWARE's APPNOTE 6.3).
///
/// The directory is checked when the archive is opened, an entry's data when it is read. Safe to use from several
/// threads.
public final class ZipArchive: Sendable {
    /// The maximum number of entries that are read.
    public static let maximumEntries = 20_000_000
    /// The size of the largest entry that is read into memory, in bytes.
    public static let maximumEntryBytes = 1 << 34
    /// The maximum expansion of one byte of deflated data.
    public static let maximumRatio = 1032

    /// One file of the archive.
    public struct Entry: Equatable, Sendable {
        /// The path in the archive, with "/" between its components and at the end of a folder.
        public var name: String
        /// The compressed size in bytes.
        public var compressedCount: Int
        /// The uncompressed size in bytes, as declared by the archive; reading verifies it.
        public var count: Int
        /// The CRC-32 of the content.
        public var crc: UInt32

        var method: UInt16
        var flags: UInt16
        var offset: Int

        /// Whether this is the entry of a folder.
        public var isFolder: Bool { name.hasSuffix("/") }
    }

    /// The path of the archive.
    public var path: String { mapping.path }
    /// The entries in the order of the archive.
    public let entries: [Entry]

    let mapping: MappedFile

    /// Maps the archive and reads its directory; throws a `FileError`.
    public init(path: String) throws {
        let mapping = try MappedFile(path: path)
        entries = try mapping.withBytes { try ZipDirectory(bytes: $0, path: path).entries() }
        self.mapping = mapping
    }

    /// The content of an entry of this archive; throws a `FileError` that names archive and entry.
    public func read(_ entry: Entry) throws -> [UInt8] {
        try withExtendedLifetime(mapping) {
            try read(entry, from: ByteReader(mapping.bytes))
        }
    }

    /// The range of an entry's stored bytes in the file. They are not verified.
    func range(of entry: Entry) throws -> Range<Int> {
        try withExtendedLifetime(mapping) {
            let data = try data(of: entry, in: ByteReader(mapping.bytes))
            // An empty slice of a mapping has an address too.
            let start = data.baseAddress.map { $0 - mapping.bytes.baseAddress! } ?? 0
            return start..<start + data.count
        }
    }

    /// The range of a stored entry's content in the mapped file, with its checksum verified; nil for a deflated one.
    /// Throws a `FileError`.
    func checkedRange(of entry: Entry) throws -> Range<Int>? {
        guard entry.method == 0 else { return nil }
        let range = try range(of: entry)
        try withExtendedLifetime(mapping) {
            try check(UnsafeRawBufferPointer(rebasing: mapping.bytes[range]), of: entry)
        }
        return range
    }

    private func wrong(_ entry: Entry, _ reason: String, remedy: String = "") -> FileError {
        FileError(path, "entry \(entry.name): \(reason)", remedy: remedy)
    }

    private func data(of entry: Entry, in file: ByteReader) throws -> UnsafeRawBufferPointer {
        // Bit 0: encrypted; bit 13: parts of the headers are masked.
        guard entry.flags & 0x2001 == 0 else {
            throw wrong(entry, "is encrypted", remedy: "pack the archive without password")
        }
        guard entry.method == 0 || entry.method == 8 else {
            throw wrong(entry, "uses compression method \(entry.method)", remedy: "pack it stored or deflated")
        }
        guard file.uint32(entry.offset) == 0x0403_4B50, file.uint16(entry.offset + 8) == entry.method,
            let nameCount = file.uint16(entry.offset + 26), let extraCount = file.uint16(entry.offset + 28),
            let name = file.slice(entry.offset + 30, count: Int(nameCount)), name.elementsEqual(entry.name.utf8),
            let data = file.slice(entry.offset + 30 + Int(nameCount) + Int(extraCount), count: entry.compressedCount)
        else {
            throw wrong(entry, "its local header does not match the archive's list", remedy: "pack the archive again")
        }
        guard entry.method != 0 || entry.count == entry.compressedCount else {
            throw wrong(entry, "is stored but its two lengths differ")
        }
        return data
    }

    private func read(_ entry: Entry, from file: ByteReader) throws -> [UInt8] {
        guard entry.count <= Self.maximumEntryBytes else {
            throw wrong(entry, "has \(entry.count) bytes (limit \(Self.maximumEntryBytes))")
        }
        let data = try data(of: entry, in: file)
        let content: [UInt8]
        if entry.method == 0 {
            content = Array(data)
        } else {
            guard entry.count <= entry.compressedCount.multipliedReportingOverflow(by: Self.maximumRatio).partialValue
            else { throw wrong(entry, "claims to inflate by more than \(Self.maximumRatio)") }
            content = try inflate(data, count: entry.count) { wrong(entry, $0, remedy: "pack the archive again") }
        }
        try content.withUnsafeBytes { try check($0, of: entry) }
        return content
    }

    private func check(_ content: UnsafeRawBufferPointer, of entry: Entry) throws {
        let bytes = content.assumingMemoryBound(to: UInt8.self)
        guard czlib_crc32(0, bytes.baseAddress, bytes.count) == entry.crc else {
            throw wrong(entry, "is damaged (wrong checksum)", remedy: "copy the archive again")
        }
    }

    private func inflate(
        _ data: UnsafeRawBufferPointer, count: Int, wrong: (String) -> FileError
    ) throws -> [UInt8] {
        var status: Int32 = 0
        let content = [UInt8](unsafeUninitializedCapacity: count) { target, filled in
            status = czlib_inflate(data.baseAddress, data.count, target.baseAddress, count)
            filled = status == CZLIB_OK ? count : 0
        }
        switch Int(status) {
        case CZLIB_OK: return content
        case CZLIB_TOO_LONG: throw wrong("inflates to more than its \(count) bytes")
        case CZLIB_TOO_SHORT: throw wrong("inflates to less than its \(count) bytes")
        case CZLIB_NO_MEMORY: throw wrong("there is no memory to inflate it")
        default: throw wrong("is damaged (not a deflate stream)")
        }
    }
}
