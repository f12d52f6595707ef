/// An array as NumPy stores it: C order, little-endian.
public struct NumpyArray: Equatable, Sendable {
    /// The element type.
    public var type: ElementType
    /// The length of every axis; empty for a scalar.
    public var shape: [Int]
    /// The elements' bytes, as many as type and shape imply.
    public var bytes: [UInt8]

    /// Creates an array from bytes, whose number must match type and shape.
    public init(type: ElementType, shape: [Int], bytes: [UInt8]) {
        precondition(type.byteCount(shape: shape) == bytes.count, "\(bytes.count) bytes for \(shape) of \(type)")
        self.type = type
        self.shape = shape
        self.bytes = bytes
    }

    /// Creates an array from elements whose size is that of `type`.
    public init<Element: BitwiseCopyable>(type: ElementType, shape: [Int], elements: [Element]) {
        self.init(type: type, shape: shape, bytes: elements.withUnsafeBytes { Array($0) })
    }

    /// The elements as values of a Swift type of the same size, such as `Float` for `F32`.
    public func elements<Element: BitwiseCopyable>(as type: Element.Type) -> [Element] {
        let size = MemoryLayout<Element>.size
        precondition(size == self.type.byteCount, "\(type) has another size than \(self.type)")
        return bytes.withUnsafeBytes { bytes in
            (0..<bytes.count / size).map { bytes.loadUnaligned(fromByteOffset: $0 * size, as: type) }
        }
    }
}

/// Files in NumPy's formats: `.npy` holds one array, `.npz` is a ZIP archive of them
/// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
public enum NumpyFile {
    /// The maximum number of dimensions of an array, as in NumPy.
    public static let maximumRank = 64

    /// Reads a `.npy` file; throws a `FileError`.
    public static func read(path: String) throws -> NumpyArray {
        try MappedFile(path: path).withBytes { try decode($0, name: path) }
    }

    /// Reads all or only some arrays of a `.npz` file by their names (without ".npy"); throws a `FileError`.
    public static func readArchive(path: String, only names: Set<String>? = nil) throws -> [String: NumpyArray] {
        let archive = try ZipArchive(path: path)
        var arrays: [String: NumpyArray] = [:]
        for entry in archive.entries where entry.name.hasSuffix(".npy") {
            guard names?.contains(String(entry.name.dropLast(4))) ?? true else { continue }
            let array = try archive.read(entry).withUnsafeBytes { try decode($0, name: "\(path): entry \(entry.name)") }
            arrays[String(entry.name.dropLast(4))] = array
        }
        return arrays
    }

    /// Whether a path has the extension of an archive of arrays, `.npz`.
    public static func isArchive(_ path: String) -> Bool { path.lowercased().hasSuffix(".npz") }

    /// Writes a `.npy` file atomically; throws a `FileError`.
    package static func write(_ array: NumpyArray, to path: String) throws {
        try AtomicFile.write(to: path) { writer in
            try writer.write(header(type: array.type, shape: array.shape))
            try writer.write(array.bytes)
        }
    }

    /// Reads the bytes of a `.npy` file called `name`; throws a `FileError`.
    public static func decode(_ bytes: UnsafeRawBufferPointer, name: String) throws -> NumpyArray {
        let (header, data) = try layout(bytes, name: name)
        return NumpyArray(type: header.type, shape: header.shape, bytes: Array(bytes[data]))
    }

    /// The header of a `.npy` file called `name`, and the range of its data, whose size matches the header.
    static func layout(
        _ bytes: UnsafeRawBufferPointer, name: String
    ) throws -> (header: NumpyHeader, data: Range<Int>) {
        let file = ByteReader(bytes)
        guard let magic = file.slice(0, count: 8), magic.prefix(6).elementsEqual([0x93] + "NUMPY".utf8) else {
            throw FileError(name, "is not a file in NumPy's format (npy)")
        }
        guard (1...3).contains(magic[6]) else {
            throw FileError(name, "has version \(magic[6]) of the npy format, which is not known")
        }
        let lengthBytes = magic[6] == 1 ? 2 : 4
        let length = lengthBytes == 2 ? file.uint16(8).map(Int.init) : file.uint32(8).map(Int.init)
        guard let length, let text = file.slice(8 + lengthBytes, count: length) else {
            throw FileError(name, "ends within its header", remedy: "copy or make the file again")
        }
        let header = try NumpyHeader(text, name: name)
        let data = bytes.count - 8 - lengthBytes - length
        guard let count = header.type.byteCount(shape: header.shape), count == data else {
            let remedy = "copy or make the file again"
            throw FileError(name, "has \(data) bytes of data for \(header.shape) of \(header.type)", remedy: remedy)
        }
        return (header, bytes.count - data..<bytes.count)
    }

    /// The bytes of a version-1 header, padded to a multiple of 64 bytes, or to `length` if that is given.
    static func header(type: ElementType, shape: [Int], length: Int? = nil) -> [UInt8] {
        precondition(!NumpyHeader.code(type).isEmpty, "NumPy has no \(type)")
        let sides = shape.map { "\($0), " }.joined()
        let tuple = shape.count == 1 ? sides.dropLast() : sides.dropLast(2)
        let text = "{'descr': '\(NumpyHeader.code(type))', 'fortran_order': False, 'shape': (\(tuple)), }"
        let total = length ?? (10 + text.utf8.count + 1 + 63) / 64 * 64
        let padding = total - 10 - text.utf8.count - 1
        precondition(padding >= 0 && total <= 0xFFFF, "the header does not fit")
        var bytes: [UInt8] = [0x93] + "NUMPY".utf8 + [1, 0, UInt8((total - 10) & 0xFF), UInt8((total - 10) >> 8)]
        bytes += text.utf8
        bytes += [UInt8](repeating: UInt8(ascii: " "), count: padding) + [UInt8(ascii: "\n")]
        return bytes
    }
}
