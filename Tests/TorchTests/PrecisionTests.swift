import Foundation
import TestSupport
import Testing
import Torch

/// The bfloat16 nearest to a float32, ties to even: the upper half of its bits.
private func rounded(_ value: Double) -> Double {
    let bits = Float(value).bitPattern
    return Double(Float(bitPattern: (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff_0000))
}

extension EngineTests {
    @Suite struct PrecisionTests {
        /// One rounding of the result: half a unit in the last of 8 binary digits.
        private let half = 1.0 / 256

        @Test func bf16RoundsTheOperandsAndTheResultOfALinearLayer() {
            let (x, weight, bias) = (pattern(6), pattern(12, 1), pattern(4, 2))
            let y = Precision.$current.withValue(.bf16) {
                Tensor(x, shape: [2, 3]).to(.F32).linear(
                    Tensor(weight, shape: [4, 3]).to(.F32), Tensor(bias).to(.F32))
            }
            let expected = (0..<8).map { place in
                (0..<3).reduce(rounded(bias[place % 4])) {
                    $0 + rounded(x[place / 4 * 3 + $1]) * rounded(weight[place % 4 * 3 + $1])
                }
            }
            #expect(y.type == .BF16)
            expectClose(y.doubles, expected, half)
        }

        /// 256 (1 + 1/512) - 256: bfloat16, whose numbers are 1/128 apart there, has lost the 1/512 before it multiplies.
        @Test(arguments: [(Precision.bf16, 0.0), (.f32, 0.5)])
        func operandsAreRoundedBeforeTheyAreMultiplied(precision: Precision, expected: Double) {
            let y = Precision.$current.withValue(precision) {
                Tensor([1 + 1.0 / 512, -1], shape: [1, 2]).to(.F32).linear(.full([1, 2], 256), nil)
            }
            #expect(y.doubles == [expected])
        }

        @Test func f32LeavesEverythingAsItIs() {
            let (x, weight) = (Tensor(pattern(6), shape: [2, 3]), Tensor(pattern(12, 1), shape: [4, 3]))
            #expect(x.linear(weight, nil).type == .F64)
        }

        @Test func gradientsOfBf16ProductsComeBackInFloat32() {
            let weight = Parameter(pattern(12, 1), shape: [4, 3])
            let x = pattern(6)
            Precision.$current.withValue(.bf16) {
                Tensor(x, shape: [2, 3]).to(.F32).linear(weight.value, nil).to(.F32).sum().backward()
            }
            // d/dW of the sum: each row is the sum of the inputs.
            let expected = (0..<12).map { rounded(x[$0 % 3]) + rounded(x[3 + $0 % 3]) }
            #expect(weight.value.gradient?.type == .F32)
            expectClose(weight.value.gradient?.doubles ?? [], expected, half)
        }

        @Test func normsOfBf16AreComputedInFloat32() {
            let x = Tensor(pattern(24), shape: [3, 8]).to(.BF16)
            let expected = x.to(.F64).layerNormalized(epsilon: 1e-6)
            #expect(x.layerNormalized(epsilon: 1e-6).type == .F32)
            expectClose(x.layerNormalized(epsilon: 1e-6).doubles, expected.doubles, 1e-6)
        }

        /// Scores up to 139 that are 0.6 apart; in bfloat16 they would round to whole numbers.
        @Test func theSoftmaxOfBf16AttentionIsComputedInFloat32() {
            let (d, n) = (16, 64)
            let queries = Tensor((0..<n * d).map { $0 % d == 0 ? 40.0 : 0 }, shape: [1, n, 1, d]).to(.F32)
            // Exact in bfloat16, so that q k / sqrt(16) = 100 + 10 j / 16.
            let keys = Tensor(
                (0..<n * d).map { $0 % d == 0 ? 10 + Double($0 / d) / 16 : 0 }, shape: [1, n, 1, d]
            ).to(.F32)
            let values = Tensor((0..<n * d).map { Double($0 / d == n - 1 ? 1 : 0) }, shape: [1, n, 1, d]).to(.F32)
            let mixed = Precision.$current.withValue(.bf16) { queries.attention(keys: keys, values: values) }
            let scores = (0..<n).map { 100 + 10 * Double($0) / 16 }
            let sum = scores.reduce(0) { $0 + exp($1 - scores[n - 1]) }
            expectClose(mixed.doubles, Array(repeating: 1 / sum, count: n * d), 2 * half)
        }
    }
}
