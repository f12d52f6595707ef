extension SafetensorsFile {
    /// The name, type and shape of a tensor to be written.
    public struct Description: Equatable, Sendable {
        /// The name, unique in its file.
        public var name: String
        /// The element type.
        public var type: ElementType
        /// The length of every axis, 0 or more.
        public var shape: [Int]

        /// Creates the header's entry; the bytes are requested when the file is written.
        public init(_ name: String, _ type: ElementType, _ shape: [Int]) {
            self.name = name
            self.type = type
            self.shape = shape
        }
    }

    /// Writes a file atomically; the same content gives the same bytes.
    ///
    /// `bytes` is called once for each of `tensors` with its index, and writes the tensor's bytes (C order,
    /// little-endian), so that they need not all be in memory together. The order is that of the format's own library:
    /// larger element types first, so that every tensor is aligned, then by name (UTF-8). Throws a `FileError`, or any
    /// error of `bytes`. Returns the checksum of the whole file.
    @discardableResult
    public static func write(
        to path: String, metadata: [String: String] = [:], tensors: [Description],
        bytes: (Int, FileWriter) throws -> Void
    ) throws -> Checksum {
        let ranks = Dictionary(uniqueKeysWithValues: zip(ElementType.allCases, 0...))
        let order = tensors.indices.sorted {
            let (a, b) = (tensors[$0], tensors[$1])
            if a.type != b.type { return ranks[a.type]! > ranks[b.type]! }
            return a.name.utf8.lexicographicallyPrecedes(b.name.utf8)
        }
        let header = header(metadata: metadata, tensors: order.map { tensors[$0] })

        return try AtomicFile.write(to: path) { writer in
            try withUnsafeBytes(of: UInt64(header.count).littleEndian) { try writer.write($0) }
            try writer.write(header)
            for index in order {
                let start = writer.offset
                try bytes(index, writer)
                precondition(writer.offset - start == size(tensors[index]), "\(tensors[index].name): wrong byte count")
            }
            return writer.checksum
        }
    }

    private static func size(_ tensor: Description) -> Int {
        guard let count = tensor.type.byteCount(shape: tensor.shape) else {
            preconditionFailure("\(tensor.name): impossible shape \(tensor.shape)")
        }
        return count
    }

    /// The header padded with spaces to a multiple of 8.
    private static func header(metadata: [String: String], tensors: [Description]) -> [UInt8] {
        var members: [JSONValue.Member] = []
        if !metadata.isEmpty {
            let texts = metadata.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
            members.append(.init("__metadata__", .object(texts.map { .init($0.key, .string($0.value)) })))
        }
        var offset = 0
        for tensor in tensors {
            let end = offset + size(tensor)
            members.append(
                .init(
                    tensor.name,
                    [
                        "dtype": .string(tensor.type.rawValue),
                        "shape": .array(tensor.shape.map { .int(Int64($0)) }),
                        "data_offsets": [.int(Int64(offset)), .int(Int64(end))],
                    ]))
            offset = end
        }
        precondition(Set(members.map(\.key)).count == members.count, "tensor names have to be unique")
        var header = Array(JSONValue.object(members).text().utf8)
        while header.count % 8 != 0 { header.append(UInt8(ascii: " ")) }
        return header
    }
}
