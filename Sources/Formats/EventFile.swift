import Foundation

/// Writes a TensorBoard event file: scalars and pictures by step, during training.
///
/// The file is a sequence of TFRecords (length, masked CRC-32C of the length, content, masked CRC-32C of the content),
/// each holding an `Event` message of tensorboard/compat/proto/event.proto, of which only the required fields are
/// encoded here. Every record is appended by one call. Not for use from two threads at a time.
public final class EventFile {
    /// The path of the file, `events.out.tfevents.SECONDS.HOST.PROCESS`, a name by which TensorBoard finds it.
    public var path: String { file.path }
    private let file: AppendedFile

    /// Begins a file in a folder, for a run whose next step is `firstStep`: events of this and later steps in earlier
    /// files of the folder become obsolete. `seconds` since 1970 become part of the name. Throws a `FileError`.
    public init(folder: String, firstStep: Int, seconds: Double = Date().timeIntervalSince1970) throws {
        let host = ProcessInfo.processInfo.hostName.replacingOccurrences(of: "/", with: "-")
        file = try AppendedFile(path: "\(folder)/events.out.tfevents.\(Int(seconds)).\(host).\(getpid())")
        // The version must be the first event; the second says that a process has started (SessionLog.START = 1).
        try append(step: nil, seconds, field: 3, Array("brain.Event:2".utf8))
        try append(step: firstStep, seconds, field: 7, Message().number(1, 1).bytes)
    }

    /// Appends the values of a step. Throws a `FileError`.
    public func append(
        step: Int, _ values: [(tag: String, value: Double)], seconds: Double = Date().timeIntervalSince1970
    ) throws {
        let summary = values.reduce(Message()) { summary, one in
            summary.bytes(1, Message().bytes(1, Array(one.tag.utf8)).float(2, Float(one.value)).bytes)
        }
        try append(step: step, seconds, field: 5, summary.bytes)
    }

    /// Appends a picture as the bytes of a PNG file. Throws a `FileError`.
    public func append(
        step: Int, tag: String, png: [UInt8], width: Int, height: Int, seconds: Double = Date().timeIntervalSince1970
    ) throws {
        let image = Message().number(1, height).number(2, width).number(3, 3).bytes(4, png)
        let value = Message().bytes(1, Array(tag.utf8)).bytes(4, image.bytes)
        try append(step: step, seconds, field: 5, Message().bytes(1, value.bytes).bytes)
    }

    private func append(step: Int?, _ seconds: Double, field: Int, _ content: [UInt8]) throws {
        var event = Message().double(1, seconds)
        if let step { event = event.number(2, step) }
        try file.append(Self.record(event.bytes(field, content).bytes))
    }

    private static func record(_ content: [UInt8]) -> [UInt8] {
        func bytes(_ number: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: number.littleEndian, Array.init) }
        let length = bytes(UInt64(content.count))
        return length + bytes(maskedChecksum(length)) + content + bytes(maskedChecksum(content))
    }

    /// TensorFlow's mask: CRCs of data that contain CRCs would otherwise be weak.
    static func maskedChecksum(_ bytes: [UInt8]) -> UInt32 {
        let value = crc32c(bytes)
        return (value >> 15 | value << 17) &+ 0xA282_EAD8
    }
}

/// The CRC-32C of Castagnoli, as in iSCSI (RFC 3720).
func crc32c(_ bytes: [UInt8]) -> UInt32 {
    ~bytes.reduce(~0) { crc32cTable[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] ^ $0 >> 8 }
}

private let crc32cTable: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { value, _ in value & 1 == 1 ? value >> 1 ^ 0x82F6_3B78 : value >> 1 }
}

/// A Protocol Buffers message: fields one after another.
private struct Message {
    private(set) var bytes: [UInt8] = []

    func number(_ field: Int, _ value: Int) -> Message {
        adding(field, wire: 0, Self.variable(UInt64(bitPattern: Int64(value))))
    }

    func double(_ field: Int, _ value: Double) -> Message {
        adding(field, wire: 1, withUnsafeBytes(of: value.bitPattern.littleEndian, Array.init))
    }

    func float(_ field: Int, _ value: Float) -> Message {
        adding(field, wire: 5, withUnsafeBytes(of: value.bitPattern.littleEndian, Array.init))
    }

    func bytes(_ field: Int, _ content: [UInt8]) -> Message {
        adding(field, wire: 2, Self.variable(UInt64(content.count)) + content)
    }

    private func adding(_ field: Int, wire: Int, _ content: [UInt8]) -> Message {
        Message(bytes: bytes + Self.variable(UInt64(field << 3 | wire)) + content)
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }
    init() {}

    /// A varint: seven bits per byte, lowest first, the eighth bit set in all but the last byte.
    private static func variable(_ value: UInt64) -> [UInt8] {
        var (rest, bytes) = (value, [UInt8]())
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }
}
