import TestSupport
import Testing
import Torch

/// Rows, inputs, outputs: around the 64 rows from which the fused layer is taken, and odd sizes.
private let shapes = [[64, 16, 32], [63, 16, 32], [65, 7, 3], [256, 33, 65], [128, 1, 1]]

extension EngineTests {
    @Suite struct LinearKernelTests {
        /// Sums of up to 256 products in float32.
        @Test(arguments: shapes, [true, false])
        func aLinearLayerIsThatOfTheDefinition(shape: [Int], hasBias: Bool) throws {
            let (rows, inputs, outputs) = (shape[0], shape[1], shape[2])
            let (x, weight, bias) = (pattern(rows * inputs), pattern(outputs * inputs, 1), pattern(outputs, 2))
            let factors = pattern(rows * outputs, 0.5)
            var expected = [
                factors.map { _ in 0.0 }, x.map { _ in 0.0 }, weight.map { _ in 0.0 }, bias.map { _ in 0.0 },
            ]
            for row in 0..<rows {
                for output in 0..<outputs {
                    let place = row * outputs + output
                    expected[0][place] = hasBias ? bias[output] : 0
                    expected[3][output] += factors[place]
                    for input in 0..<inputs {
                        expected[0][place] += x[row * inputs + input] * weight[output * inputs + input]
                        expected[1][row * inputs + input] += factors[place] * weight[output * inputs + input]
                        expected[2][output * inputs + input] += factors[place] * x[row * inputs + input]
                    }
                }
            }
            for isFused in [true, false] {
                let results = try layer(shape, x, weight, hasBias ? bias : nil, factors, isFused: isFused)
                #expect(results.count == (hasBias ? 4 : 3))
                for (result, numbers) in zip(results, expected) { expectClose(result, numbers, 1e-5) }
            }
        }

        /// Tokens of samples, views of another tensor, and a weight that is a view.
        @Test func anyLayoutGivesTheSame() {
            let x = single(pattern(2 * 40 * 6), [2, 6, 40]).transposed(1, 2)
            let weight = single(pattern(6 * 4, 1), [6, 4]).transposed(0, 1)
            let y = x.linear(weight, nil)
            let plain = Kernels.$areFused.withValue(false) { x.contiguous().linear(weight.contiguous(), nil) }
            #expect(y.shape == [2, 40, 4])
            expectClose(y.doubles, plain.doubles, 1e-6)
        }

        @Test func onlyWhatIsTrainedGetsAGradient() throws {
            let x = Parameter(pattern(64 * 4), shape: [64, 4])
            let weight = single(pattern(8, 1), [2, 4])
            let bias = Parameter(pattern(2, 2), shape: [2])
            x.value.linear(weight, bias.value).sum().backward()
            #expect(weight.gradient == nil)
            #expect(try #require(bias.value.gradient).doubles == [64, 64])
            expectClose(
                Array(try #require(x.value.gradient).doubles.prefix(4)),
                (0..<4).map { weight.doubles[$0] + weight.doubles[4 + $0] }, 1e-6)
        }

        @Test func withoutGradientsTheSameBits() {
            let x = single(pattern(100 * 40), [100, 40])
            let weight = Parameter(pattern(24 * 40, 1), shape: [24, 40])
            let isSame = withoutGradients { x.linear(weight.value, nil).doubles } == x.linear(weight.value, nil).doubles
            #expect(isSame)
        }

        /// Also the bits of gradients, which sum over all rows.
        @Test func threadsDoNotChangeABit() throws {
            let threads = Library.threads
            defer { Library.setThreads(threads) }
            let shape = [1024, 96, 160]
            let results = try [1, 2, 3].map { count in
                Library.setThreads(count)
                return try layer(
                    shape, pattern(1024 * 96), pattern(160 * 96, 1), pattern(160, 2), pattern(1024 * 160, 0.5),
                    isFused: true)
            }
            let areSame = results.map { $0 == results[0] }
            #expect(areSame == [true, true, true])
        }

        @Test func shapesThatDoNotFitFailWithTheWordsOfTheTwin() {
            let messages = [true, false].map { isFused in
                #expect(throws: TorchError.self) {
                    try withErrors {
                        Kernels.$areFused.withValue(isFused) { Tensor.zeros([128, 3]).linear(.zeros([5, 4]), nil) }
                    }
                }?.description
            }
            #expect(messages[0]?.contains("[128, 3], [5, 4]") == true)
            #expect(messages[0] == messages[1])
        }

        // MARK: - Running a layer

        private func single(_ values: [Double], _ shape: [Int]) -> Tensor { Tensor(values, shape: shape).to(.F32) }

        /// The output, and the gradients of x, weight and bias under a sum with factors.
        private func layer(
            _ shape: [Int], _ x: [Double], _ weight: [Double], _ bias: [Double]?, _ factors: [Double], isFused: Bool
        ) throws -> [[Double]] {
            let x = Parameter(x, shape: [shape[0], shape[1]])
            let weight = Parameter(weight, shape: [shape[2], shape[1]])
            let bias = bias.map { Parameter($0, shape: [shape[2]]) }
            let y = Kernels.$areFused.withValue(isFused) { x.value.linear(weight.value, bias?.value) }
            (y * single(factors, [shape[0], shape[2]])).sum().backward()
            return [y.doubles]
                + (try ([x, weight] + (bias.map { [$0] } ?? [])).map {
                    try #require($0.value.gradient).doubles
                })
        }
    }
}
