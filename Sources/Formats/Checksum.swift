import CZlib

/// A running CRC-32, as in zip and gzip files: it finds every change of up to 32 bits in a row, and is fast enough to go
/// along with writing (about 1 GB a second). It finds damage; it does not protect against tampering.
public struct Checksum: Equatable, Sendable {
    /// Of the bytes so far; 0 for none.
    public private(set) var value: UInt32 = 0

    /// Of no bytes yet.
    public init() {}

    /// The checksum of these bytes.
    public init(of bytes: UnsafeRawBufferPointer) { add(bytes) }

    /// The checksum of a text in UTF-8.
    public init(of text: String) {
        var text = text
        text.withUTF8 { add(UnsafeRawBufferPointer($0)) }
    }

    /// Goes on with more bytes.
    public mutating func add(_ bytes: UnsafeRawBufferPointer) {
        value = czlib_crc32(value, bytes.assumingMemoryBound(to: UInt8.self).baseAddress, bytes.count)
    }

    /// With the name of the method: "crc32:1a2b3c4d".
    public var text: String {
        let digits = String(value, radix: 16)
        return "crc32:" + String(repeating: "0", count: 8 - digits.count) + digits
    }
}
