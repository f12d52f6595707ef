/// The items of an array in a `.npz` file, one at a time: if the archive stores the array uncompressed, only the
/// requested items are read, so the array may be larger than memory.
public struct NumpyItems: Sendable {
    /// The element type.
    public let type: ElementType
    /// The length of every axis, at least one; items are along the first.
    public let shape: [Int]

    private enum Content {
        case mapped(ZipArchive, Range<Int>)
        case inflated(NumpyArray)
    }

    private let content: Content
    private let itemBytes: Int

    /// The number of items.
    public var count: Int { shape[0] }

    /// Opens the array `name` (without ".npy") and verifies its checksum by reading it once; nil if the file has no
    /// such array, or if it is a scalar. Throws a `FileError`.
    public init?(path: String, name: String) throws {
        let archive = try ZipArchive(path: path)
        guard let entry = archive.entries.first(where: { $0.name == name + ".npy" }) else { return nil }
        let place = "\(path): entry \(entry.name)"
        if let range = try archive.checkedRange(of: entry) {
            let (header, data) = try archive.mapping.withBytes {
                try NumpyFile.layout(UnsafeRawBufferPointer(rebasing: $0[range]), name: place)
            }
            (type, shape) = (header.type, header.shape)
            content = .mapped(archive, range.lowerBound + data.lowerBound..<range.lowerBound + data.upperBound)
        } else {
            let array = try archive.read(entry).withUnsafeBytes { try NumpyFile.decode($0, name: place) }
            (type, shape) = (array.type, array.shape)
            content = .inflated(array)
        }
        guard let sides = shape.isEmpty ? nil : shape[1...] else { return nil }
        itemBytes = type.byteCount(shape: Array(sides)) ?? 0
    }

    /// The bytes of one item, whose index must be below `count`.
    public func item(_ index: Int) -> [UInt8] {
        precondition((0..<count).contains(index), "there is no item \(index)")
        let place = index * itemBytes..<(index + 1) * itemBytes
        switch content {
        case .inflated(let array): return Array(array.bytes[place])
        case .mapped(let archive, let data):
            return archive.mapping.withBytes {
                Array($0[data.lowerBound + place.lowerBound..<data.lowerBound + place.upperBound])
            }
        }
    }
}
