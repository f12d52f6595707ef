/// The content of a `torch.save` file as before PyTorch 1.6: pickles of a magic number, a version, the system, the
/// value and the keys of its storages, then for each key the number of elements (64 bits) and the elements, all
/// little-endian.
struct PyTorchOldFormat {
    let root: PickleValue
    let storages: [String: PyTorchFile.StoredBytes]

    /// The magic number 0x1950a86a20f9469cfc6c.
    private static let mark: [UInt8] = [0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19]
    private static let version = 1001

    /// Whether a file begins with the pickled magic number.
    static func begins(_ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes.count > 14 && bytes[0] == 0x80 && bytes[2] == PickleOperation.long1.rawValue
            && bytes[4..<14].elementsEqual(mark)
    }

    init(_ bytes: UnsafeRawBufferPointer, path: String) throws {
        guard Self.begins(bytes) else {
            throw FileError(
                path, "is not a file of torch.save", remedy: "give a .pt, .pth or .bin file with weights")
        }
        var reader = PickleReader(bytes, name: path)
        _ = try reader.read()
        guard try reader.read().int == Self.version else {
            throw FileError(path, "has another version of the old format of torch.save than \(Self.version)")
        }
        _ = try reader.read()
        root = try reader.read()
        let keys = try reader.read()

        var sizes: [String: ElementType] = [:]
        for node in root.heap.nodes {
            // What cannot be interpreted is reported when a tensor refers to it.
            guard case .persistent(let index) = node,
                let storage = try? PyTorchPickle.storage(PickleValue(heap: root.heap, index: index))
            else { continue }
            sizes[storage.key] = storage.type
        }
        storages = try Self.storages(keys, sizes, ByteReader(bytes), from: reader.position, path: path)
    }

    private static func storages(
        _ keys: PickleValue, _ types: [String: ElementType], _ bytes: ByteReader, from start: Int, path: String
    ) throws -> [String: PyTorchFile.StoredBytes] {
        var position = start
        var storages: [String: PyTorchFile.StoredBytes] = [:]
        for value in keys.elements ?? [] {
            guard let key = value.string ?? value.int.map(String.init), let type = types[key] else {
                throw FileError(path, "has a storage whose type cannot be read")
            }
            guard let count = bytes.uint64(position).flatMap(Int.init(exactly:)),
                let size = type.byteCount(shape: [count]), bytes.slice(position + 8, count: size) != nil
            else {
                throw FileError(path, "ends within its tensors", remedy: "copy or download the file again")
            }
            storages[key] = .init(range: position + 8..<position + 8 + size)
            position += 8 + size
        }
        return storages
    }
}
