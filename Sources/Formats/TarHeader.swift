/// One header block of a tar archive.
struct TarHeader {
    static let byteCount = 512

    /// The meaning of a header.
    enum Kind { case file, longName, pax, passed }

    private let bytes: UnsafeRawBufferPointer

    /// Creates a header from exactly `byteCount` bytes.
    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// Whether the checksum is right: the sum of all bytes, with the checksum itself taken as spaces.
    var isValid: Bool {
        let own = 148..<156
        let sum = bytes.indices.reduce(0) { $0 + (own.contains($1) ? 32 : Int(bytes[$1])) }
        return number(own) == sum
    }

    var kind: Kind {
        switch bytes[156] {
        case UInt8(ascii: "0"), 0, UInt8(ascii: "7"): name.hasSuffix("/") ? .passed : .file
        case UInt8(ascii: "L"): .longName
        case UInt8(ascii: "x"): .pax
        default: .passed
        }
    }

    /// Whether the content describes the next header or all of them, so that it is no entry of its own.
    var describesAnother: Bool { "LKxg".utf8.contains(bytes[156]) }

    /// The size of the content in bytes; nil if the field is not a number. Links and folders have size 0, whatever the
    /// field says.
    var size: Int? { "123456".utf8.contains(bytes[156]) ? 0 : number(124..<136) }

    /// The name, including the prefix that ustar stores separately.
    var name: String {
        let own = text(0..<100)
        // GNU's own format has other fields there and spaces behind "ustar".
        guard bytes[257..<263].elementsEqual("ustar\0".utf8) else { return own }
        let prefix = text(345..<500)
        return prefix.isEmpty ? own : prefix + "/" + own
    }

    private func text(_ range: Range<Int>) -> String {
        String(decoding: bytes[range].prefix { $0 != 0 }, as: UTF8.self)
    }

    /// Reads octal digits among spaces or, with the first bit set, a big-endian binary number.
    private func number(_ range: Range<Int>) -> Int? {
        if bytes[range.lowerBound] == 0x80 {
            return bytes[range].dropFirst().reduce(0 as Int?) { sum, byte in
                guard let sum, sum < 1 << 54 else { return nil }
                return sum << 8 | Int(byte)
            }
        }
        let digits = bytes[range].drop { $0 == UInt8(ascii: " ") }.prefix { $0 != 0 && $0 != UInt8(ascii: " ") }
        return Int(String(decoding: digits, as: UTF8.self), radix: 8).flatMap { $0 >= 0 ? $0 : nil }
    }
}
