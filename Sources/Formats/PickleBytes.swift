/// Reads the bytes of a pickle one after another.
struct PickleBytes {
    private let bytes: ByteReader
    private let name: String
    /// The position after the last byte read.
    private(set) var position: Int

    init(_ bytes: UnsafeRawBufferPointer, from position: Int, name: String) {
        self.bytes = ByteReader(bytes)
        self.position = position
        self.name = name
    }

    /// An error about the value read last.
    func wrong(_ problem: String) -> FileError {
        FileError(name, "the pickle \(problem) (byte \(position))", remedy: "save or download the file again")
    }

    private mutating func take(_ count: Int) throws -> UnsafeRawBufferPointer {
        guard let slice = bytes.slice(position, count: count) else { throw wrong("ends too early") }
        position += count
        return slice
    }

    /// Reads a little-endian number.
    mutating func number<Number: FixedWidthInteger>(_: Number.Type) throws -> Number {
        Number(littleEndian: try take(MemoryLayout<Number>.size).loadUnaligned(as: Number.self))
    }

    mutating func uint8() throws -> UInt8 { try number(UInt8.self) }

    /// Reads a byte count; whether there are that many bytes is checked when they are read.
    mutating func length(_ type: (some FixedWidthInteger).Type) throws -> Int {
        guard let count = Int(exactly: try number(type)), count >= 0 else { throw wrong("ends too early") }
        return count
    }

    /// Reads a text. Python also writes lone surrogates of file names; they are shown as replacement characters.
    mutating func text(_ count: Int) throws -> String { String(decoding: try take(count), as: UTF8.self) }

    /// Skips bytes and returns their position.
    mutating func place(_ count: Int) throws -> PickleNode {
        let start = position
        _ = try take(count)
        return .bytes(start..<position)
    }

    /// Reads the text up to the next line break.
    mutating func line() throws -> String {
        guard let rest = bytes.slice(position, count: bytes.bytes.count - position),
            let count = rest.firstIndex(of: UInt8(ascii: "\n"))
        else { throw wrong("ends too early") }
        let text = try text(count)
        position += 1
        return text
    }

    /// Reads an integer in two's complement.
    mutating func long(_ count: Int) throws -> PickleNode {
        let bytes = Array(try take(count))
        guard count <= 8 else { return .longInteger(bytes) }
        let isNegative = bytes.last.map { $0 >= 0x80 } ?? false
        let start: UInt = isNegative ? .max : 0
        return .int(Int(bitPattern: bytes.reversed().reduce(start) { $0 << 8 | UInt($1) }))
    }
}
