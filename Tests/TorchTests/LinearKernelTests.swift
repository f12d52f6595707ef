import TestSupport
import Testing
import Torch

/// Rows, inputs, outputs: around the 16 rows from which the fused layer is taken, odd sizes, more than one block and
/// panel of each with the wider side on either end, sums that are too long for one block, rows that lie pages or half
/// pages apart, and the most rows (64) of a layer whose weight is read once.
private let shapes = [
    [16, 16, 32], [15, 16, 32], [65, 7, 3], [256, 33, 65], [128, 1, 1], [600, 70, 470], [1034, 410, 34],
    [32, 2100, 40],
    [48, 1024, 24], [80, 512, 24], [64, 40, 200], [17, 33, 130],
]

extension EngineTests {
    @Suite struct LinearKernelTests {
        /// Sums of up to 2100 products in float32.
        @Test(arguments: shapes, [true, false])
        func aLinearLayerIsThatOfTheDefinition(shape: [Int], hasBias: Bool) throws {
            let operands = Operands(shape)
            let expected = operands.results(hasBias: hasBias)
            for isFused in [true, false] {
                let results = try layer(operands, hasBias: hasBias, isFused: isFused)
                #expect(results.count == (hasBias ? 4 : 3))
                for (result, numbers) in zip(results, expected) { expectClose(result, numbers, 1e-5) }
            }
        }

        /// With operands that bfloat16 holds: results are rounded once, the gradients of weights never.
        @Test(arguments: shapes + [[301, 64, 32]], [true, false])
        func inBfloat16Too(shape: [Int], hasBias: Bool) throws {
            let operands = Operands(shape, isRounded: true)
            let expected = operands.results(hasBias: hasBias)
            try Precision.$current.withValue(.bf16) {
                let results = try layer(operands, hasBias: hasBias, isFused: true)
                for (index, (result, numbers)) in zip(results, expected).enumerated() {
                    // A layer that the kernel does not know rounds its weights' gradients as libtorch does.
                    let isKnown = Self.hasBfloat16 && shape[0] >= 16 && shape.allSatisfy { $0 % 2 == 0 }
                    let isExact = index == 3 || index == 2 && isKnown
                    expectClose(result, numbers, isExact ? 1e-5 : 0x1p-8)
                }
            }
        }

        /// Whether the kernel multiplies bfloat16 on this processor.
        private static let hasBfloat16: Bool = {
            let features = try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)
            return Library.cpuCapability.hasPrefix("AVX512") && features?.contains("avx512_bf16") == true
                && features?.contains("amx_bf16") == false
        }()

        /// Tokens of samples, views of another tensor, and a weight and a bias that are views.
        @Test func anyLayoutGivesTheSame() {
            let x = single(pattern(2 * 40 * 6), [2, 6, 40]).transposed(1, 2)
            let weight = single(pattern(6 * 4, 1), [6, 4]).transposed(0, 1)
            let bias = single(pattern(4 * 2, 2), [4, 2]).chunked(2, axis: 1)[1].reshaped([4])
            let y = x.linear(weight, bias)
            let plain = Kernels.$areFused.withValue(false) {
                x.contiguous().linear(weight.contiguous(), bias.contiguous())
            }
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
            let operands = Operands([1024, 96, 160])
            for precision in Precision.allCases {
                let results = try [1, 2, 3].map { count in
                    Library.setThreads(count)
                    return try Precision.$current.withValue(precision) {
                        try layer(operands, hasBias: true, isFused: true)
                    }
                }
                let areSame = results.map { $0 == results[0] }
                #expect(areSame == [true, true, true])
            }
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
        private func layer(_ operands: Operands, hasBias: Bool, isFused: Bool) throws -> [[Double]] {
            let (rows, inputs, outputs) = operands.sizes
            let x = Parameter(operands.x, shape: [rows, inputs])
            let linear = Linear(inputs, outputs, hasBias: hasBias, on: .cpu)
            linear.weight.assign(Tensor(operands.weight, shape: [outputs, inputs]))
            linear.bias?.assign(Tensor(operands.bias, shape: [outputs]))
            let y = Kernels.$areFused.withValue(isFused) { linear(x.value).to(.F32) }
            (y * single(operands.factors, [rows, outputs])).sum().backward()
            return [y.doubles]
                + (try ([x, linear.weight] + (linear.bias.map { [$0] } ?? [])).map {
                    try #require($0.value.gradient).doubles
                })
        }
    }
}

/// What goes into a layer, and the factors of a sum of its outputs.
private struct Operands {
    let sizes: (rows: Int, inputs: Int, outputs: Int)
    let x, weight, bias, factors: [Double]

    init(_ shape: [Int], isRounded: Bool = false) {
        sizes = (shape[0], shape[1], shape[2])
        func numbers(_ count: Int, _ start: Double) -> [Double] {
            let numbers = pattern(count, start)
            return isRounded ? numbers.map { ($0 * 64).rounded() / 64 } : numbers
        }
        x = numbers(shape[0] * shape[1], 0)
        weight = numbers(shape[2] * shape[1], 1)
        bias = numbers(shape[2], 2)
        factors = numbers(shape[0] * shape[2], 0.5)
    }

    /// The output, and the gradients of x, weight and bias, by the definition.
    func results(hasBias: Bool) -> [[Double]] {
        let (rows, inputs, outputs) = sizes
        var output = factors.map { _ in 0.0 }
        var gradientX = x.map { _ in 0.0 }
        var gradientWeight = weight.map { _ in 0.0 }
        var gradientBias = bias.map { _ in 0.0 }
        for row in 0..<rows {
            for column in 0..<outputs {
                let factor = factors[row * outputs + column]
                var sum = hasBias ? bias[column] : 0
                for input in 0..<inputs {
                    let (here, there) = (row * inputs + input, column * inputs + input)
                    sum += x[here] * weight[there]
                    gradientX[here] += factor * weight[there]
                    gradientWeight[there] += factor * x[here]
                }
                output[row * outputs + column] = sum
                gradientBias[column] += factor
            }
        }
        return [output, gradientX, gradientWeight, gradientBias]
    }
}
