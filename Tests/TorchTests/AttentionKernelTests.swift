import Formats
import TestSupport
import Testing
import Torch

/// Samples, tokens, heads, width: one tile and several, a last tile that is short, tokens of which few make a tile, and
/// up to four times the width, for which the weights are kept, and more.
private let sizes = [[1, 2, 1, 2], [2, 6, 3, 4], [1, 130, 2, 8], [2, 256, 2, 64], [1, 1030, 1, 6]]

extension EngineTests {
    @Suite struct AttentionKernelTests {
        /// Against float64; weights, and sums of at most 1,030 products below 2, are rounded to float32.
        @Test(arguments: sizes, [true, false])
        func attentionIsThatOfTheDefinition(size: [Int], isFused: Bool) throws {
            let expected = try attention(size, as: .F64, isFused: false)
            let results = try attention(size, as: .F32, isFused: isFused)
            for (result, other) in zip(results, expected) { expectClose(result, other, 5e-6) }
        }

        /// Weights and results are rounded to 8 binary digits, gradients twice.
        @Test(arguments: sizes, [true, false])
        func bf16RoundsWeightsAndResults(size: [Int], isFused: Bool) throws {
            let expected = try attention(size, as: .F64, isFused: false)
            let results = try attention(size, as: .BF16, isFused: isFused)
            for (result, other) in zip(results, expected) {
                expectClose(result, other, 0.03 * (other.map(abs).max() ?? 0))
            }
        }

        /// The formula itself, with two heads of a sample.
        @Test func headsAreApart() {
            let (queries, keys, values) = (pattern(24), pattern(24, 1), pattern(24, 2))
            let shape = [1, 4, 2, 3]
            let y = Tensor(queries, shape: shape).attention(
                keys: Tensor(keys, shape: shape), values: Tensor(values, shape: shape)
            ).doubles
            func head(_ numbers: [Double], _ head: Int) -> [Double] {
                (0..<4).flatMap { numbers[(2 * $0 + head) * 3..<(2 * $0 + head) * 3 + 3] }
            }
            for number in 0..<2 {
                let expected = Formulas.attention(
                    head(queries, number), head(keys, number), head(values, number), tokens: 4, width: 3)
                expectClose(head(y, number), expected, 1e-12)
            }
        }

        @Test(arguments: [ElementType.F32, .BF16])
        func threadsDoNotChangeABit(type: ElementType) throws {
            let threads = Library.threads
            defer { Library.setThreads(threads) }
            let results = try [1, 2, 3].map { count in
                Library.setThreads(count)
                return try attention([3, 128, 3, 32], as: type, isFused: true)
            }
            let areSame = results.map { $0 == results[0] }
            #expect(areSame == [true, true, true])
        }

        /// As a network has them: slices of what a linear layer gave.
        @Test func slicesNeedNoCopy() throws {
            let results = try [true, false].map { isFused in
                let all = Parameter(pattern(2 * 6 * 3 * 2 * 4), shape: [2, 6, 3, 2, 4])
                let parts = all.value.unbound(3, axis: 2)
                let y = Kernels.$areFused.withValue(isFused) { parts[0].attention(keys: parts[1], values: parts[2]) }
                (y * Tensor(pattern(96, 0.5), shape: [2, 6, 2, 4]).to(.F32)).sum().backward()
                return [y.doubles, try #require(all.value.gradient).doubles]
            }
            for (fused, plain) in zip(results[0], results[1]) { expectClose(fused, plain, 2e-6) }
        }

        /// Packed or taken apart: the same bits, of the gradient too.
        @Test(arguments: [ElementType.F32, .BF16])
        func whatLiesPackedGivesTheSameBits(type: ElementType) throws {
            let shape = [2, 130, 3 * 2 * 8]
            let results = try [true, false].map { isPacked in
                let all = Parameter(pattern(shape.reduce(1, *)), shape: shape)
                let packed = all.value.to(type)
                let parts = packed.reshaped([2, 130, 3, 2, 8]).unbound(3, axis: 2)
                let y = Precision.$current.withValue(type == .BF16 ? .bf16 : .f32) {
                    isPacked
                        ? packed.packedAttention(heads: 2)
                        : parts[0].attention(keys: parts[1], values: parts[2]).reshaped([2, 130, 16])
                }
                (y.to(.F32) * Tensor(pattern(2 * 130 * 16, 0.5), shape: [2, 130, 16]).to(.F32)).sum().backward()
                return [y.doubles, try #require(all.value.gradient).doubles]
            }
            let isSame = results[0] == results[1]
            #expect(isSame)
        }

        @Test func greatScoresDoNotOverflow() {
            let x = Tensor((0..<64).map { $0 % 8 == $0 / 8 ? 3000.0 : 0 }, shape: [1, 8, 1, 8]).to(.F32)
            expectClose(x.attention(keys: x, values: x).doubles, x.doubles, 1e-3)
        }

        @Test func withoutGradientsTheSameBits() throws {
            let x = Parameter(pattern(2 * 6 * 3 * 4), shape: [2, 6, 3, 4]).value
            let isSame =
                withoutGradients { x.attention(keys: x, values: x).doubles } == x.attention(keys: x, values: x).doubles
            #expect(isSame)
        }

        /// The output, and the gradients of queries, keys and values, all rounded to bfloat16 at the start.
        private func attention(_ size: [Int], as type: ElementType, isFused: Bool) throws -> [[Double]] {
            let count = size.reduce(1, *)
            let parameters = (0..<3).map { seed in
                Parameter(
                    Tensor(pattern(count, Double(seed)).map { 2 * $0 }, shape: size).to(.BF16).doubles, shape: size)
            }
            let operands = parameters.map { $0.value.to(type) }
            let y = Kernels.$areFused.withValue(isFused) {
                operands[0].attention(keys: operands[1], values: operands[2])
            }
            let factors = Tensor(pattern(count, 0.5), shape: size).to(.BF16).to(type)
            (y * factors).to(.F64).sum().backward()
            return [y.doubles] + (try parameters.map { try #require($0.value.gradient).doubles })
        }
    }
}
