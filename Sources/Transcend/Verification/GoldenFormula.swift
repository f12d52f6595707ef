import Models
import Torch

/// Numbers from integer arithmetic alone, so that large weights need not be stored (reference/formula.py).
enum GoldenFormula {
    /// Element i is offset + scale * u, in float64 and rounded once, with u from -1 to 1 by MurmurHash3's 32-bit finaliser
    /// of i xor FNV-1a(name).
    static func tensor(_ name: String, _ shape: [Int], scale: Double, offset: Double = 0) -> Tensor {
        let hash = Draws.fnv1a(name)
        let values = (0..<shape.reduce(1, *)).map { index -> Float in
            var k = UInt32(truncatingIfNeeded: index) ^ hash
            k = (k ^ (k >> 16)) &* 0x85EB_CA6B
            k = (k ^ (k >> 13)) &* 0xC2B2_AE35
            let unit = Double((k ^ (k >> 16)) >> 8) * 0x1p-23 - 1
            return Float(unit * scale + offset)
        }
        return Tensor(values, shape: shape)
    }

    /// Weights of a transformer (reference/make_golden.py, `generated`): 0 +- 0.5 sqrt(3 / n) with n elements for each first
    /// index, vectors 0 +- 0.1, weights of LayerNorms 1 +- 0.1.
    static func fill(_ network: SiT) {
        for entry in network.parameters() where entry.parameter.isTrained {
            let shape = entry.parameter.value.shape
            let inputs = Double(shape.dropFirst().reduce(1, *))
            let scale = shape.count == 1 ? 0.1 : (3 / inputs).squareRoot() * 0.5
            let offset = entry.name.contains("_norm.weight") ? 1.0 : 0
            entry.parameter.assign(tensor(entry.name, shape, scale: scale, offset: offset))
        }
    }

    /// Weights of a network of ReLUs (`network_state`): 0 +- gain sqrt(6 / n), vectors 1 +- 0.25 for weights and 0 +- 0.25
    /// for biases.
    static func fill(_ network: some Module, gain: Double) {
        for entry in network.parameters() {
            let shape = entry.parameter.value.shape
            let inputs = Double(shape.dropFirst().reduce(1, *))
            let scale = shape.count == 1 ? 0.25 : gain * (6 / inputs).squareRoot()
            let offset = shape.count == 1 && entry.name.hasSuffix("weight") ? 1.0 : 0
            entry.parameter.assign(tensor(entry.name, shape, scale: scale, offset: offset))
        }
    }
}
