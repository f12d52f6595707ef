/// Random numbers by SplitMix64 (Steele, Lea and Flood 2014); the same seed gives the same.
struct RandomNumbers {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// 0 ..< bound.
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(max(1, bound))) }

    mutating func element<Value>(_ values: [Value]) -> Value { values[below(values.count)] }
}

/// Damages a file in one to six places, as formats are damaged and attacked: numbers at their limits, pieces that are
/// missing, doubled or swapped, and pieces of another file.
struct Mutator {
    var random: RandomNumbers

    private static let numbers: [UInt64] = [
        0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x1_0000, 0xFF_FFFF, 0x7FFF_FFFF, 0x8000_0000,
        0xFFFF_FFFE, 0xFFFF_FFFF, 0x1_0000_0000, 1 << 40, .max >> 1, 1 << 63, .max - 1, .max,
    ]

    mutating func mutate(_ seed: [UInt8], other: [UInt8]) -> [UInt8] {
        var bytes = seed
        // Every other input has one damage, behind which the file goes on as it should.
        for _ in 0...(random.below(2) * random.below(6)) { damage(&bytes, other) }
        return bytes
    }

    private mutating func damage(_ bytes: inout [UInt8], _ other: [UInt8]) {
        guard !bytes.isEmpty else {
            bytes = other
            return
        }
        let position = random.below(bytes.count)
        switch random.below(10) {
        case 0, 1: bytes[position] ^= 1 << UInt8(random.below(8))
        case 2: bytes[position] = UInt8(truncatingIfNeeded: random.next())
        case 3: write(random.element(Self.numbers), at: position, in: &bytes)
        case 4: bytes.removeSubrange(position..<min(bytes.count, position + 1 + random.below(16)))
        case 5: bytes.removeSubrange(position...)
        case 6: bytes.insert(contentsOf: piece(of: bytes), at: position)
        case 7: bytes.insert(contentsOf: piece(of: other), at: position)
        case 8: overwrite(&bytes, at: position, with: piece(of: random.below(2) == 0 ? bytes : other))
        default:
            // Numbers in text, as in headers of npy and safetensors.
            if let digit = bytes[position...].firstIndex(where: { (0x30...0x39).contains($0) }) {
                bytes.replaceSubrange(digit...digit, with: String(random.element(Self.numbers)).utf8)
            }
        }
    }

    private mutating func write(_ number: UInt64, at position: Int, in bytes: inout [UInt8]) {
        let size = random.element([1, 2, 4, 8])
        let isBig = random.below(2) == 0
        let piece = (0..<size).map { UInt8(truncatingIfNeeded: number >> UInt64(8 * (isBig ? size - 1 - $0 : $0))) }
        overwrite(&bytes, at: position, with: piece)
    }

    private func overwrite(_ bytes: inout [UInt8], at position: Int, with piece: [UInt8]) {
        let count = min(piece.count, bytes.count - position)
        bytes.replaceSubrange(position..<position + count, with: piece.prefix(count))
    }

    private mutating func piece(of bytes: [UInt8]) -> [UInt8] {
        let start = random.below(bytes.count)
        return Array(bytes[min(start, bytes.count)..<min(bytes.count, start + 1 + random.below(64))])
    }
}
