import CUDAEmulation
import Formats
import Foundation
import TestSupport
import Testing
import Torch

/// Samples, heads, tokens and width: the kernels do 64 keys at a time and, of an odd number of 32, the last 32 alone.
private let sizes = [[2, 3, 32], [1, 2, 96], [2, 1, 128], [1, 1, 256]].flatMap { [$0 + [64], $0 + [72]] }

/// Attention of packed heads on CUDA devices, against libtorch's operators in float64.
extension EngineTests {
    @Suite struct PackedAttentionKernelTests {
        /// The source that CUDA devices compile, thread by thread. Weights, gradients of scores and results are rounded to 8
        /// binary digits: each by up to 0.4 %, and by 0.2 % in the norm.
        @Test(arguments: sizes)
        func theKernelsOfCUDAComputeTheSame(size: [Int]) throws {
            let inputs = Inputs(size)
            expectNear(inputs.emulated(), try inputs.exact(), 1e-2)
        }

        /// Scores of some hundreds, whose exponentials overflow unless the greatest is subtracted. Where two are near to one
        /// another, the gradient is a difference of what has been rounded.
        @Test(arguments: [64, 72])
        func greatScoresDoNotOverflow(width: Int) throws {
            let inputs = Inputs([1, 1, 128, width], scores: 64)
            expectNear(inputs.emulated(), try inputs.exact(), 2e-2)
        }

        @Test(.enabled(if: Library.cudaDevices > 0), arguments: sizes, [1.0, 64])
        func aCUDADeviceComputesTheSame(size: [Int], scores: Double) throws {
            let device = Device(kind: .cuda)
            #expect(Kernels.cudaProblem(of: device) == nil)
            let inputs = Inputs(size, scores: scores)
            expectNear(try inputs.results(.BF16, on: device), try inputs.exact(), scores == 1 ? 1e-2 : 2e-2)
        }

        /// The norms of the differences are so small a part of those of the expected values.
        private func expectNear(
            _ results: [(name: String, values: [Double])], _ expected: [(name: String, values: [Double])],
            _ bound: Double, sourceLocation: SourceLocation = #_sourceLocation
        ) {
            for ((name, values), (_, others)) in zip(results, expected) {
                let error = relativeError(values, others)
                #expect(values.count == others.count && error < bound, "\(name)", sourceLocation: sourceLocation)
            }
        }
    }
}

private func relativeError(_ values: [Double], _ expected: [Double]) -> Double {
    let norm = { (numbers: [Double]) in sqrt(numbers.reduce(0) { $0 + $1 * $1 }) }
    return norm(zip(values, expected).map { $0 - $1 }) / norm(expected)
}

/// Packed queries, keys and values, and the gradient of the output; all as bfloat16 holds them.
private struct Inputs {
    private let (samples, heads, tokens, width): (Int, Int, Int, Int)
    private let packed, gradientOutput: [Double]

    /// `scores` is about what scores differ by.
    init(_ size: [Int], scores: Double = 1) {
        (samples, heads, tokens, width) = (size[0], size[1], size[2], size[3])
        let count = size.reduce(1, *)
        let part = heads * width
        let factor = sqrt(scores)
        let normals = Draws(seed: 7).normals(.noise, step: 0, item: 0, count: 4 * count).map(Double.init)
        let numbers = normals.enumerated().map { $0 < 3 * count && $0 / part % 3 < 2 ? $1 * factor : $1 }
        let rounded = Tensor(numbers, shape: [4 * count]).to(.BF16).doubles
        (packed, gradientOutput) = (Array(rounded[..<(3 * count)]), Array(rounded[(3 * count)...]))
    }

    private var count: Int { gradientOutput.count }

    func exact() throws -> [(name: String, values: [Double])] {
        try Kernels.$areFused.withValue(false) { try results(.F64, on: .cpu) }
    }

    /// The output, and the gradients of queries, keys and values.
    func results(_ type: ElementType, on device: Device) throws -> [(name: String, values: [Double])] {
        let parameter = Parameter([samples, tokens, 3 * heads * width], .zeros, on: device)
        parameter.assign(Tensor(packed, shape: [samples, tokens, 3 * heads * width]))
        let y = parameter.value.to(type).packedAttention(heads: heads)
        let factors = Tensor(gradientOutput, shape: [samples, tokens, heads * width]).to(device).to(type)
        (y * factors).to(.F64).sum().backward()
        return [("output", y.doubles)] + parts(try #require(parameter.value.gradient).doubles)
    }

    /// The same from the kernels of CUDA. Besides, their sums are those of the gradients they give, up to the rounding of
    /// float32.
    func emulated() -> [(name: String, values: [Double])] {
        var inputs = [packed, gradientOutput].map { $0.map(Float.init) }
        var outputs = [count, 3 * count, 3 * count / tokens].map { [Float](repeating: .nan, count: $0) }
        withPointers(to: &inputs) { x in
            withPointers(to: &outputs) { out in
                var arrays = emulated_attention(
                    samples: Int64(samples), heads: Int64(heads), tokens: Int64(tokens), width: Int64(width),
                    packed: x[0], gradientOutput: x[1], output: out[0], gradientPacked: out[1], sums: out[2])
                expectNoProblem(emulate_attention(&arrays))
            }
        }
        let results = outputs.map { $0.map(Double.init) }
        let columns = 3 * heads * width
        let sums = (0..<samples * columns).map { place in
            (0..<tokens).reduce(0) { $0 + results[1][(place / columns * tokens + $1) * columns + place % columns] }
        }
        #expect(relativeError(results[2], sums) < 1e-5)
        return [("output", results[0])] + parts(results[1])
    }

    private func parts(_ gradient: [Double]) -> [(name: String, values: [Double])] {
        let columns = heads * width
        return ["queries", "keys", "values"].enumerated().map { part, name in
            (name, gradient.indices.filter { $0 / columns % 3 == part }.map { gradient[$0] })
        }
    }
}
