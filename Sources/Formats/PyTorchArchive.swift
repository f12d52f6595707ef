/// The content of a `torch.save` zip archive (since PyTorch 1.6): `NAME/data.pkl`, `NAME/data/KEY` for each storage,
/// and `NAME/byteorder`.
struct PyTorchArchive {
    let root: PickleValue
    let storages: [String: PyTorchFile.StoredBytes]
    let isBigEndian: Bool

    /// The maximum size of a pickle that is read, in bytes.
    static let maximumPickleBytes = 1 << 28

    init(_ archive: ZipArchive) throws {
        let pickles = archive.entries.filter {
            $0.name.hasSuffix("/data.pkl") && $0.name.split(separator: "/").count == 2
        }
        guard let pickle = pickles.first, pickles.count == 1 else {
            throw FileError(archive.path, "is a zip archive, but not one of torch.save (it has no data.pkl)")
        }
        let prefix = String(pickle.name.dropLast("data.pkl".count))
        if archive.entries.contains(where: { $0.name == prefix + "constants.pkl" }) {
            throw FileError(
                archive.path, "is a TorchScript program, not saved tensors",
                remedy: "save its state_dict() with torch.save")
        }
        guard pickle.count <= Self.maximumPickleBytes else {
            throw FileError(
                archive.path, "has a data.pkl of \(pickle.count) bytes (limit \(Self.maximumPickleBytes))")
        }
        root = try Self.content(pickle, of: archive) { bytes in
            var reader = PickleReader(bytes, name: "\(archive.path): entry \(pickle.name)")
            return try reader.read()
        }

        let order = archive.entries.first { $0.name == prefix + "byteorder" }
        isBigEndian = try order.map { try Self.content($0, of: archive) { Array($0) } } == Array("big".utf8)

        var storages: [String: PyTorchFile.StoredBytes] = [:]
        let folder = prefix + "data/"
        for entry in archive.entries where entry.name.hasPrefix(folder) && !entry.isFolder {
            guard entry.method == 0 else {
                throw FileError(
                    archive.path, "entry \(entry.name): is compressed, which torch.save does not do",
                    remedy: "save the file again with torch.save")
            }
            storages[String(entry.name.dropFirst(folder.count))] = .init(
                range: try archive.range(of: entry), crc: Self.checksum(of: entry))
        }
        self.storages = storages
    }

    /// PyTorch can omit checksums (`set_crc32_options(False)`); they are 0 then.
    private static func checksum(of entry: ZipArchive.Entry) -> UInt32? { entry.crc == 0 ? nil : entry.crc }

    /// The bytes of an entry, verified if there is a checksum.
    private static func content<Result>(
        _ entry: ZipArchive.Entry, of archive: ZipArchive, _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result {
        if entry.method == 0, checksum(of: entry) == nil {
            let range = try archive.range(of: entry)
            return try archive.mapping.withBytes { try body(UnsafeRawBufferPointer(rebasing: $0[range])) }
        }
        return try archive.read(entry).withUnsafeBytes(body)
    }
}
