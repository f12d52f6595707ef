import CTorch
import Foundation

/// Compares the program's own kernels with their plain counterparts on small random tensors, once on each device before
/// its kernels are used: nobody can test every compiler, driver and GPU.
extension Kernels {
    /// The difference between a device's kernels and libtorch's operators, as an unfinished sentence; nil if they
    /// agree. Throws any error of the kernels.
    public static func difference(on device: Device) throws -> String? {
        for precision in Precision.allCases {
            for part in CheckedPart.all {
                let operands = part.operands(on: device)
                let (own, twins) = try withErrors {
                    Precision.$current.withValue(precision) {
                        let own = part.results(of: operands)
                        return (own, Kernels.$areFused.withValue(false) { part.results(of: operands) })
                    }
                }
                // Several roundings to 8 binary digits; for float32, a margin for sums in another order.
                if let difference = difference(of: own, from: twins, beyond: precision == .bf16 ? 3e-2 : 5e-3) {
                    return String(
                        format: "%@ in %@ differs from libtorch's by %.2g", part.name, precision.rawValue, difference)
                }
            }
        }
        return nil
    }

    /// The first relative difference that is not below a limit, or is NaN; nil if there is none.
    package static func difference(of own: [Tensor], from twins: [Tensor], beyond limit: Double) -> Double? {
        zip(own, twins).lazy.map(relativeDifference).first { !($0 < limit) }
    }

    /// The relative difference |a - b| / |b| in the Euclidean norm.
    private static func relativeDifference(_ a: Tensor, _ b: Tensor) -> Double {
        let (a, b) = (a.to(.cpu).to(.F64), b.to(.cpu).to(.F64))
        return (a - b).norm().item() / b.norm().item()
    }
}

/// A computation from operands that is also differentiated.
private struct CheckedPart: Sendable {
    let name: String
    let shapes: [[Int]]
    let compute: @Sendable ([Tensor]) -> [Tensor]

    /// Normal random operands, different for each shape.
    func operands(on device: Device) -> [Parameter] {
        shapes.enumerated().map { index, shape in
            let parameter = Parameter(shape, .zeros, on: device)
            parameter.assign(normals(shape, item: index))
            return parameter
        }
    }

    /// The result, and all gradients of its sum with random weights.
    func results(of operands: [Parameter]) -> [Tensor] {
        withGradients {
            for operand in operands { operand.value.setGradient(nil) }
            let outputs = compute(operands.map(\.value))
            let terms = outputs.enumerated().map { index, output in
                (output.to(.F32) * normals(output.shape, item: 100 + index).to(output.device)).sum()
            }
            terms.dropFirst().reduce(terms[0], +).backward()
            return outputs.map { $0.detached() } + operands.compactMap(\.value.gradient)
        }
    }

    private func normals(_ shape: [Int], item: Int) -> Tensor {
        Tensor(
            Draws(seed: 0).normals(.noise, step: 0, item: item, count: shape.reduce(1, *)), shape: shape)
    }

    /// Sizes that fill units, blocks and warps, and leave some of them partly filled.
    static let all = [
        residualStream(width: 200), residualStream(width: 1152),
        CheckedPart(
            name: "the MLP",
            shapes: [[2, 70, 64], [520, 64], [520], [64, 520], [64], [2, 64]]
        ) {
            let first = $0[0].linear($0[1] / 8, $0[2], rounded: RoundedWeight()).gelu()
            let second = first.linear($0[3] / 20, $0[4], rounded: RoundedWeight())
            return [$0[0].gatedSum(second, gate: $0[5])]
        },
        attention(samples: 2, tokens: 96, width: 64), attention(samples: 1, tokens: 256, width: 72),
    ]

    /// Attention after a linear layer that uses its sums for the bias gradient.
    private static func attention(samples: Int, tokens: Int, width: Int) -> CheckedPart {
        let packed = 3 * 2 * width
        return CheckedPart(name: "attention", shapes: [[samples, tokens, 64], [packed, 64], [packed]]) {
            [$0[0].linear($0[1] / 8, $0[2], rounded: RoundedWeight()).packedAttention(heads: 2)]
        }
    }

    private static func residualStream(width: Int) -> CheckedPart {
        let (stream, vectors) = ([2, 70, width], [2, width])
        return CheckedPart(name: "the residual stream", shapes: [stream, stream, vectors, vectors, vectors]) {
            let (sum, normed) = $0[0].gatedSum(
                $0[1].asOperand(), gate: $0[2], normalisedWith: $0[3], shift: $0[4], epsilon: 1e-6)
            return [sum, normed]
        }
    }
}
