/// Reads little-endian numbers at given positions; returns nil for a position outside the bytes.
struct ByteReader {
    let bytes: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    func slice(_ position: Int, count: Int) -> UnsafeRawBufferPointer? {
        guard position >= 0, count >= 0, position <= bytes.count, count <= bytes.count - position else { return nil }
        return UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])
    }

    func uint16(_ position: Int) -> UInt16? {
        slice(position, count: 2).map { UInt16(littleEndian: $0.loadUnaligned(as: UInt16.self)) }
    }

    func uint32(_ position: Int) -> UInt32? {
        slice(position, count: 4).map { UInt32(littleEndian: $0.loadUnaligned(as: UInt32.self)) }
    }

    func uint64(_ position: Int) -> UInt64? {
        slice(position, count: 8).map { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
    }
}
