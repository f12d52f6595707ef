/// A safetensors file: named arrays in one file, mapped into memory (https://github.com/huggingface/safetensors).
///
/// Everything in the header is checked when the file is opened, so that every entry's range can be read.
public struct SafetensorsFile: Sendable {
    /// The maximum size of a header that is read, in bytes; the limit of the format's own readers.
    public static let maximumHeaderBytes = 100_000_000
    /// The maximum number of dimensions of a tensor.
    public static let maximumRank = 16

    /// One tensor of the file.
    public struct Entry: Equatable, Sendable {
        /// The element type.
        public var type: ElementType
        /// The length of every axis, 0 or more; empty for a scalar.
        public var shape: [Int]
        /// The range of the tensor's bytes in the file (C order, little-endian), not necessarily aligned to its
        /// elements.
        public var range: Range<Int>
    }

    /// The free-form text metadata of the file (`__metadata__`).
    public let metadata: [String: String]
    /// The tensors by name.
    public let entries: [String: Entry]
    /// The names in the order of the tensors in the file.
    public let names: [String]
    /// The file's bytes.
    public let mapping: MappedFile

    /// Maps the file and reads its header; throws a `FileError` if it does not follow the format exactly.
    ///
    /// With `randomAccess` the system is told to read only what is accessed.
    public init(path: String, randomAccess: Bool = false) throws {
        let mapping = try MappedFile(path: path)
        if randomAccess { mapping.expectRandomAccess() }
        let header = try mapping.withBytes { try SafetensorsHeader(bytes: $0, path: path) }
        self.mapping = mapping
        metadata = header.metadata
        entries = Dictionary(uniqueKeysWithValues: header.tensors)
        names = header.tensors.map(\.name)
    }

    /// Calls `body` with the bytes of one tensor, valid until it returns; throws a `FileError` if there is no such tensor.
    public func withBytes<Result>(of name: String, _ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result {
        guard let entry = entries[name] else { throw FileError(mapping.path, "has no tensor \"\(name)\"") }
        return try mapping.withBytes { try body(UnsafeRawBufferPointer(rebasing: $0[entry.range])) }
    }
}

/// The validated header: tensors in the order of their bytes, which fill the rest of the file without gap or overlap.
private struct SafetensorsHeader {
    var metadata: [String: String] = [:]
    var tensors: [(name: String, entry: SafetensorsFile.Entry)] = []

    private let path: String
    private let dataStart: Int
    private let dataCount: Int

    init(bytes: UnsafeRawBufferPointer, path: String) throws {
        let remedy = "copy or download the file again"
        guard bytes.count >= 8 else {
            throw FileError(path, "is too short for a safetensors file (\(bytes.count) bytes)", remedy: remedy)
        }
        let headerCount = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
        guard headerCount <= SafetensorsFile.maximumHeaderBytes else {
            let limit = "limit \(SafetensorsFile.maximumHeaderBytes)"
            throw FileError(path, "is not a safetensors file: its header would have \(headerCount) bytes (\(limit))")
        }
        guard Int(headerCount) <= bytes.count - 8 else {
            throw FileError(path, "ends within its header (\(headerCount) bytes)", remedy: remedy)
        }
        self.path = path
        dataStart = 8 + Int(headerCount)
        dataCount = bytes.count - dataStart

        let document: JSONValue
        do {
            document = try JSONValue(parsing: UnsafeRawBufferPointer(rebasing: bytes[8..<dataStart]))
        } catch {
            throw FileError(path, "has a safetensors header that is not valid JSON: \(error)")
        }
        guard let members = document.members else { throw FileError(path, "has a safetensors header without names") }
        for member in members {
            if member.key == "__metadata__" {
                metadata = try readMetadata(member.value)
            } else {
                tensors.append((member.key, try readEntry(member.value, name: member.key)))
            }
        }
        try checkOrder(remedy: remedy)
    }

    private func readMetadata(_ value: JSONValue) throws -> [String: String] {
        guard let members = value.members else { throw FileError(path, "has metadata that are not names with texts") }
        var metadata: [String: String] = [:]
        for member in members {
            guard let text = member.value.string else {
                throw FileError(path, "has metadata \"\(member.key)\" that are not a text")
            }
            metadata[member.key] = text
        }
        return metadata
    }

    private func readEntry(_ value: JSONValue, name: String) throws -> SafetensorsFile.Entry {
        func wrong(_ problem: String) -> FileError { FileError(path, "tensor \"\(name)\": \(problem)") }

        guard let members = value.members, members.count == 3, let typeName = value["dtype"]?.string,
            let sides = value["shape"]?.elements, let offsets = value["data_offsets"]?.elements
        else { throw wrong("exactly dtype, shape and data_offsets are expected") }
        guard let type = ElementType(rawValue: typeName) else {
            let known = ElementType.allCases.map(\.rawValue).joined(separator: ", ")
            throw wrong("its type \"\(typeName)\" is not among those that can be read: \(known)")
        }
        guard sides.count <= SafetensorsFile.maximumRank else {
            throw wrong("it has \(sides.count) dimensions (limit \(SafetensorsFile.maximumRank))")
        }
        let shape = sides.compactMap(\.int)
        guard shape.count == sides.count, let count = type.byteCount(shape: shape) else {
            throw wrong("its shape is not a list of sizes")
        }
        guard offsets.count == 2, let start = offsets[0].int, let end = offsets[1].int, start >= 0, start <= end,
            end <= dataCount
        else { throw wrong("its data_offsets do not lie in the file's \(dataCount) bytes of data") }
        guard end - start == count else {
            throw wrong("its shape \(shape) of \(type) takes \(count) bytes, its data_offsets hold \(end - start)")
        }
        return SafetensorsFile.Entry(type: type, shape: shape, range: dataStart + start..<dataStart + end)
    }

    private mutating func checkOrder(remedy: String) throws {
        tensors.sort {
            ($0.entry.range.lowerBound, $0.entry.range.upperBound, $0.name)
                < ($1.entry.range.lowerBound, $1.entry.range.upperBound, $1.name)
        }
        var end = dataStart
        for (name, entry) in tensors {
            guard entry.range.lowerBound == end else {
                let what = entry.range.lowerBound < end ? "overlaps the one before" : "does not follow the one before"
                throw FileError(path, "tensor \"\(name)\": its data \(what)")
            }
            end = entry.range.upperBound
        }
        guard end == dataStart + dataCount else {
            throw FileError(path, "has \(dataStart + dataCount - end) bytes after its last tensor", remedy: remedy)
        }
    }
}
