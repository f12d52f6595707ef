import Models
import Torch

/// Generates numbers from integer arithmetic alone, so that large weights need not be stored.
enum GoldenFormula {
    /// A tensor whose element i is offset + scale * u, in float64 and rounded once, with u from -1 to 1 by
    /// MurmurHash3's 32-bit finaliser of i xor FNV-1a(name).
    static func tensor(_ name: String, _ shape: [Int], scale: Double, offset: Double = 0) -> Tensor {
        let hash = Draws.fnv1a(name)
        let values = (0..<shape.reduce(1, *)).map { index -> Float in
            let unit = Double(mixed(UInt32(truncatingIfNeeded: index) ^ hash) >> 8) * 0x1p-23 - 1
            return Float(unit * scale + offset)
        }
        return Tensor(values, shape: shape)
    }

    /// An image of uint8 [1, 3, height, width] with stripes and a little noise (`picture`).
    static func picture(_ name: String, height: Int, width: Int) -> Tensor {
        let hash = Draws.fnv1a(name)
        var bytes: [UInt8] = []
        for c in 0..<3 {
            for y in 0..<height {
                for x in 0..<width {
                    let noise = mixed(UInt32((c * height + y) * width + x) ^ hash) & 31
                    bytes.append(UInt8(((3 + c) * x + (5 - c) * y + ((x * y) >> 5) + Int(noise)) & 255))
                }
            }
        }
        return Tensor(bytes, shape: [1, 3, height, width])
    }

    /// MurmurHash3's 32-bit finaliser.
    private static func mixed(_ key: UInt32) -> UInt32 {
        var k = (key ^ (key >> 16)) &* 0x85EB_CA6B
        k = (k ^ (k >> 13)) &* 0xC2B2_AE35
        return k ^ (k >> 16)
    }

    /// Fills the weights of a transformer: 0 +- 0.5 sqrt(3 / n) with n elements for each index, vectors 0 +- 0.1,
    /// weights of LayerNorms 1 +- 0.1.
    static func fill(_ network: SiT) {
        for entry in network.parameters() where entry.parameter.isTrained {
            let shape = entry.parameter.value.shape
            let inputs = Double(shape.dropFirst().reduce(1, *))
            let scale = shape.count == 1 ? 0.1 : (3 / inputs).squareRoot() * 0.5
            let offset = entry.name.contains("_norm.weight") ? 1.0 : 0
            entry.parameter.assign(tensor(entry.name, shape, scale: scale, offset: offset))
        }
    }

    /// Fills the weights of a network of ReLUs (`network_state`): 0 +- gain sqrt(6 / n), vectors 1 +- 0.25 for weights
    /// and 0 +- 0.25 for biases; statistics of batch norm 1 +- 0.5 for variances and 0 +- 0.5 for means.
    static func fill(_ network: some Module, gain: Double) {
        for entry in network.parameters() {
            let shape = entry.parameter.value.shape
            let inputs = Double(shape.dropFirst().reduce(1, *))
            let isStatistic = entry.name.contains(".running_")
            let scale = shape.count > 1 ? gain * (6 / inputs).squareRoot() : isStatistic ? 0.5 : 0.25
            let isAroundOne = entry.name.hasSuffix(".running_var") || entry.name.hasSuffix("weight")
            let offset = shape.count == 1 && isAroundOne ? 1.0 : 0
            entry.parameter.assign(tensor(entry.name, shape, scale: scale, offset: offset))
        }
    }
}
