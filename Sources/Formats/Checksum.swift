import CZlib

/// A running CRC-32, as in zip and gzip files: it detects every change of up to 32 consecutive bits, and is fast enough
/// to run while writing (about 1 GB a second). It detects damage, not tampering.
public struct Checksum: Equatable, Sendable {
    /// The CRC-32 of the bytes so far; 0 for none.
    public private(set) var value: UInt32 = 0

    /// Creates the checksum of no bytes.
    public init() {}

    /// Creates the checksum of these bytes.
    public init(of bytes: UnsafeRawBufferPointer) { add(bytes) }

    /// Creates the checksum of a text in UTF-8.
    public init(of text: String) {
        var text = text
        text.withUTF8 { add(UnsafeRawBufferPointer($0)) }
    }

    /// Adds more bytes.
    public mutating func add(_ bytes: UnsafeRawBufferPointer) {
        value = czlib_crc32(value, bytes.assumingMemoryBound(to: UInt8.self).baseAddress, bytes.count)
    }

    /// The value with the name of the algorithm: "crc32:1a2b3c4d".
    public var text: String {
        let digits = String(value, radix: 16)
        return "crc32:" + String(repeating: "0", count: 8 - digits.count) + digits
    }
}
