/// A tar archive, mapped into memory: ustar, with the long names of GNU tar and of pax (POSIX.1-2001).
///
/// Regular files are listed; folders, links and devices are ignored. A file `NAME.tar` in the archive counts as a
/// folder `NAME` with its contents, as in ImageNet's archive. Nothing is unpacked, so names cannot point outside. Safe
/// to use from several threads.
public struct TarArchive: Sendable {
    /// The maximum number of files that are listed.
    public static let maximumEntries = 20_000_000
    /// The maximum size of a name, or of a set of pax records, in bytes.
    public static let maximumNameBytes = 1 << 20

    /// One file of the archive.
    public struct Entry: Equatable, Sendable {
        /// The path in the archive, with "/" between its components and without a leading "./".
        public var name: String
        /// The range of the content in the archive's bytes.
        public var range: Range<Int>
    }

    /// The path of the archive.
    public var path: String { mapping.path }
    /// The files in the order of the archive; of files with the same name the last, as when tar unpacks them.
    public let entries: [Entry]

    private let mapping: MappedFile

    /// Maps the archive and reads all its headers; throws a `FileError`.
    public init(path: String) throws {
        let mapping = try MappedFile(path: path)
        entries = try mapping.withBytes { bytes in
            try Self.withoutRepetition(Self.expanded(TarDirectory(bytes: bytes, path: path).entries(), bytes, path))
        }
        self.mapping = mapping
    }

    /// Whether the bytes begin with a header of a tar archive.
    public static func isTar(_ bytes: UnsafeRawBufferPointer) -> Bool {
        ByteReader(bytes).slice(0, count: TarHeader.byteCount).map { TarHeader($0).isValid } ?? false
    }

    /// The content of a file of this archive.
    public func read(_ entry: Entry) -> [UInt8] { mapping.withBytes { Array($0[entry.range]) } }

    /// The entries, with nested archives replaced by their entries.
    private static func expanded(_ entries: [Entry], _ bytes: UnsafeRawBufferPointer, _ path: String) throws -> [Entry]
    {
        let suffix = ".tar"
        return try entries.flatMap { entry -> [Entry] in
            guard entry.name.hasSuffix(suffix) else { return [entry] }
            let part = UnsafeRawBufferPointer(rebasing: bytes[entry.range])
            let inner = try TarDirectory(bytes: part, path: "\(path): entry \(entry.name)").entries()
            return inner.map {
                let start = entry.range.lowerBound + $0.range.lowerBound
                return Entry(
                    name: entry.name.dropLast(suffix.count) + "/" + $0.name, range: start..<start + $0.range.count)
            }
        }
    }

    private static func withoutRepetition(_ entries: [Entry]) -> [Entry] {
        var last: [String: Int] = [:]
        last.reserveCapacity(entries.count)
        for (index, entry) in entries.enumerated() { last[entry.name] = index }
        return last.count == entries.count
            ? entries : entries.indices.filter { last[entries[$0].name] == $0 }.map { entries[$0] }
    }
}

/// Reads the headers of one archive one after another.
private struct TarDirectory {
    private let file: ByteReader
    private let path: String

    init(bytes: UnsafeRawBufferPointer, path: String) {
        file = ByteReader(bytes)
        self.path = path
    }

    /// All regular files. The list ends with a block of zeros, so a truncated archive is not mistaken for a complete
    /// one.
    func entries() throws -> [TarArchive.Entry] {
        var entries: [TarArchive.Entry] = []
        var position = 0
        var name: String?
        var size: Int?
        while true {
            guard let block = file.slice(position, count: TarHeader.byteCount) else {
                throw wrong("ends without the mark of its end", remedy: "copy the archive again")
            }
            if block.allSatisfy({ $0 == 0 }) { return entries }
            let header = TarHeader(block)
            guard header.isValid, let ownSize = header.size else {
                throw wrong("has a damaged header at byte \(position)", remedy: "copy or pack the archive again")
            }
            let count = header.describesAnother ? ownSize : size ?? ownSize
            let start = position + TarHeader.byteCount
            guard let content = file.slice(start, count: count) else {
                throw wrong("ends within \(name ?? header.name)", remedy: "copy the archive again")
            }
            // At most 511 above a count that lies within the file.
            position = start + (count + 511) / 512 * 512
            switch header.kind {
            case .longName: name = try text(content.prefix { $0 != 0 })
            case .pax: try readPax(content, name: &name, size: &size)
            case .passed where header.describesAnother: break
            case .file, .passed:
                if header.kind == .file {
                    guard entries.count < TarArchive.maximumEntries else {
                        throw wrong("has more than \(TarArchive.maximumEntries) files")
                    }
                    entries.append(.init(name: Self.plain(name ?? header.name), range: start..<start + count))
                }
                (name, size) = (nil, nil)
            }
        }
    }

    /// Reads records `LENGTH KEY=VALUE\n`, of which path and size are used.
    private func readPax(_ content: UnsafeRawBufferPointer, name: inout String?, size: inout Int?) throws {
        var rest = try limited(content)[...]
        while !rest.isEmpty {
            guard let space = rest.firstIndex(of: UInt8(ascii: " ")),
                let length = Int(String(decoding: rest[..<space], as: UTF8.self)),
                length > space - rest.startIndex + 1, length <= rest.count,
                let equals = rest[space..<rest.startIndex + length - 1].firstIndex(of: UInt8(ascii: "="))
            else { throw wrong("has a damaged pax header", remedy: "copy or pack the archive again") }
            let end = rest.startIndex + length
            let value = String(decoding: rest[(equals + 1)..<(end - 1)], as: UTF8.self)
            switch String(decoding: rest[(space + 1)..<equals], as: UTF8.self) {
            case "path": name = value
            case "size":
                guard let number = Int(value), number >= 0 else { throw wrong("has a size \(value) in a pax header") }
                size = number
            default: break
            }
            rest = rest[end...]
        }
    }

    private func text(_ bytes: Slice<UnsafeRawBufferPointer>) throws -> String {
        String(decoding: try limited(UnsafeRawBufferPointer(rebasing: bytes)), as: UTF8.self)
    }

    private func limited(_ bytes: UnsafeRawBufferPointer) throws -> UnsafeRawBufferPointer {
        guard bytes.count <= TarArchive.maximumNameBytes else {
            throw wrong("has a name of \(bytes.count) bytes (limit \(TarArchive.maximumNameBytes))")
        }
        return bytes
    }

    private static func plain(_ name: String) -> String {
        var rest = name[...]
        while rest.hasPrefix("./") { rest = rest.dropFirst(2) }
        return String(rest)
    }

    private func wrong(_ problem: String, remedy: String = "") -> FileError {
        FileError(path, problem, remedy: remedy)
    }
}
