import CUDAEmulation
import Formats
import Foundation
import TestSupport
import Testing
import Torch

/// Sizes of a modulated norm: vectors of 16 numbers fit or do not, one row or one sample, and more rows of a sample
/// than the backward pass sums up at once (64). The last two are large enough for several threads (32,768 elements).
private let sizes = [
    [2, 3, 16], [2, 3, 20], [3, 1, 7], [1, 5, 33], [1, 1, 1], [2, 64, 5], [2, 65, 5], [1, 150, 18], [1, 300, 129],
    [5, 70, 130],
]

/// Numbers of elements for GELU, around those of a vector (16), of a unit (4,096) and of several threads.
private let counts = [1, 15, 16, 17, 4095, 4097, 40_001]

/// Rows and columns for the kernels of CUDA: units and parts of them, blocks and parts of them.
private let geluSizes = [[3, 8], [70, 16], [2, 520]]

extension EngineTests {
    @Suite struct KernelTests {
        // MARK: - Against the definition

        /// Sums of up to 300 products in float32 (rounding 6e-8), and a division by the deviation of short rows.
        @Test(arguments: sizes, [true, false])
        func modulatedNormIsThatOfTheDefinition(size: [Int], isFused: Bool) throws {
            let (inputs, weights) = modulatedInputs(size)
            let (y, gradients) = try modulatedNorm(size, inputs, weights, isFused: isFused)
            let expected = Self.modulatedNormFormula(size, inputs, weights)
            expectClose(y, expected.y, 2e-6)
            for (gradient, other) in zip(gradients, expected.gradients) { expectClose(gradient, other, 1e-5) }
        }

        /// Rows far from zero: the variance must not come from squares of the numbers themselves, which would leave
        /// nothing of it in float32. Numbers around 300 are themselves known to 1.5e-5.
        @Test(arguments: [true, false])
        func rowsFarFromZeroKeepTheirVariance(isFused: Bool) throws {
            let size = [2, 3, 48]
            var (inputs, weights) = modulatedInputs(size)
            inputs[0] = inputs[0].map { Double(Float($0 + 300)) }
            let (y, gradients) = try modulatedNorm(size, inputs, weights, isFused: isFused)
            let expected = Self.modulatedNormFormula(size, inputs, weights)
            expectClose(y, expected.y, 1e-4)
            for (gradient, other) in zip(gradients, expected.gradients) { expectClose(gradient, other, 1e-4) }
        }

        /// In float64: y = x + gate b; the gradients g, gate g, and b g summed over the rows of a sample.
        @Test(arguments: sizes, [true, false])
        func aSumWithAGateIsThatOfTheDefinition(size: [Int], isFused: Bool) throws {
            let (inputs, weights) = modulatedInputs(size)
            let (x, branch, gate) = (inputs[0], pattern(inputs[0].count, 3), inputs[1])
            for type in [ElementType.F32, .BF16] {
                let parameters = zip([x, branch, gate], [size, size, [size[0], size[2]]]).map {
                    Parameter($0, shape: $1)
                }
                let operand = parameters[1].value.to(type)
                let y = Kernels.$areFused.withValue(isFused) {
                    parameters[0].value.gatedSum(operand, gate: parameters[2].value)
                }
                (y * single(weights, size)).sum().backward()
                let added = operand.doubles
                var gateSums = gate.map { _ in 0.0 }
                let vector = { (place: Int) in place / (size[1] * size[2]) * size[2] + place % size[2] }
                for place in x.indices { gateSums[vector(place)] += added[place] * weights[place] }
                #expect(y.type == .F32)
                expectClose(y.doubles, x.indices.map { x[$0] + gate[vector($0)] * added[$0] }, 1e-6)
                let gradients = try parameters.map { try #require($0.value.gradient).doubles }
                expectClose(gradients[0], weights, 1e-6)
                // BFloat16 a unit in the last of 8 binary digits of numbers below 4.
                let rounding = type == .BF16 ? 1.0 / 128 : 1e-6
                expectClose(gradients[1], x.indices.map { gate[vector($0)] * weights[$0] }, rounding)
                expectClose(gradients[2], gateSums, 2e-5)
            }
        }

        /// What goes into and comes out of bfloat16 kernels is rounded; between, they compute in float32.
        @Test func bf16IsRoundedOnce() throws {
            let size = [2, 70, 20]
            let (inputs, _) = modulatedInputs(size)
            let tensors = zip(inputs, [size, [2, 20], [2, 20]]).map { single($0, $1) }
            let norm = { tensors[0].modulatedNorm(scale: tensors[1], shift: tensors[2], epsilon: 1e-3) }
            let rounded = Precision.$current.withValue(.bf16) { norm() }
            #expect(rounded.type == .BF16)
            #expect(rounded.doubles == norm().to(.BF16).doubles)
            let x = tensors[0].to(.BF16)
            // BFloat16 a unit in the last of 8 binary digits, and what the short exponential leaves.
            for (y, exact) in zip(x.gelu().doubles, x.doubles.map(Formulas.gelu)) {
                #expect(abs(y - exact) <= abs(exact) * (1.0 / 256 + 1e-4) + 1e-6)
            }
            // The same incoming gradients in both types, so that results differ by the last rounding alone.
            let weights = single(pattern(2800, 0.5), size).to(.BF16)
            func gradients(_ precision: Precision) throws -> [[Double]] {
                let parameters = tensors.map { Parameter($0.doubles, shape: $0.shape) }
                let y = Precision.$current.withValue(precision) {
                    parameters[0].value.modulatedNorm(
                        scale: parameters[1].value, shift: parameters[2].value, epsilon: 1e-3)
                }
                (y * weights.to(y.type)).to(.F32).sum().backward()
                return try parameters.map { try #require($0.value.gradient).doubles }
            }
            for (half, whole) in zip(try gradients(.bf16), try gradients(.f32)) { expectClose(half, whole, 1e-5) }
        }

        @Test(arguments: counts, [true, false])
        func geluIsThatOfTheDefinition(count: Int, isFused: Bool) throws {
            let x = pattern(count).map { Double(Float(6 * $0)) }
            let weights = pattern(count, 0.5)
            let (y, gradient) = try gelu(x, weights, isFused: isFused)
            expectClose(y, x.map(Formulas.gelu), 1e-6)
            // The derivative by central differences, good to 1e-9 in float64.
            let slopes = x.map { (Formulas.gelu($0 + 1e-5) - Formulas.gelu($0 - 1e-5)) / 2e-5 }
            expectClose(gradient, zip(slopes, weights).map { $0 * $1 }, 2e-6)
        }

        /// The source that CUDA devices compile, thread by thread.
        @Test(arguments: geluSizes, [false, true])
        func theKernelsOfCUDAComputeGelu(size: [Int], isBF16: Bool) {
            let (x, weights, expected) = geluInBfloat16(size[0] * size[1])
            var inputs = [x, weights].map { $0.map(Float.init) }
            var outputs = [x.count, x.count, size[1]].map { [Float](repeating: .nan, count: $0) }
            withPointers(to: &inputs) { x in
                withPointers(to: &outputs) { out in
                    var arrays = emulated_gelu(
                        rows: Int64(size[0]), width: Int64(size[1]), isBF16: isBF16, x: x[0], gradient: x[1], y: out[0],
                        gradientX: out[1], sums: out[2])
                    expectNoProblem(emulate_gelu(&arrays))
                }
            }
            let columns = (0..<size[1]).map { column in
                (0..<size[0]).reduce(0) { $0 + expected.gradient[$1 * size[1] + column] }
            }
            expectClose(outputs[0].map(Double.init), expected.y, isBF16 ? 1.0 / 64 : 2e-6)
            expectClose(outputs[1].map(Double.init), expected.gradient, isBF16 ? 1.0 / 64 : 2e-6)
            expectClose(outputs[2].map(Double.init), columns, 1e-4)
        }

        @Test(.enabled(if: Library.cudaDevices > 0), arguments: geluSizes, [false, true])
        func aCUDADeviceComputesGelu(size: [Int], isBF16: Bool) throws {
            let device = Device(kind: .cuda)
            #expect(Kernels.cudaProblem(of: device) == nil)
            let (x, weights, expected) = geluInBfloat16(size[0] * size[1])
            let parameter = Parameter(size, .zeros, on: device)
            parameter.assign(Tensor(x, shape: size))
            let type = isBF16 ? ElementType.BF16 : .F32
            let y = parameter.value.to(type).gelu()
            (y * Tensor(weights, shape: size).to(device).to(type)).to(.F32).sum().backward()
            // Exponentials are right to 1e-6.
            expectClose(y.doubles, expected.y, isBF16 ? 1.0 / 64 : 1e-5)
            expectClose(try #require(parameter.value.gradient).doubles, expected.gradient, isBF16 ? 1.0 / 64 : 1e-5)
        }

        /// Numbers that bfloat16 holds and what becomes of them; results, below 8, are rounded by 1/64 at most.
        private func geluInBfloat16(
            _ count: Int
        ) -> (x: [Double], weights: [Double], expected: (y: [Double], gradient: [Double])) {
            let x = Tensor(pattern(count).map { 4 * $0 }, shape: [count]).to(.BF16).doubles
            let weights = Tensor(pattern(count, 1), shape: [count]).to(.BF16).doubles
            let gradient = zip(x, weights).map { ($1 * (Formulas.gelu($0 + 1e-5) - Formulas.gelu($0 - 1e-5)) / 2e-5) }
            return (x, weights, (x.map(Formulas.gelu), gradient))
        }

        /// A gradient that nothing else holds becomes a kernel's result; the summands of a sum all hold the same one.
        @Test func aGradientThatAnotherNeedsIsNotOverwritten() throws {
            let size = [2, 5, 8]
            let factors = pattern(80, 3)
            let gradients = try [true, false].map { isFused in
                let x = (0..<6).map { Parameter(pattern(80, Double($0)), shape: size) }
                let vectors = (6..<9).map { Parameter(pattern(16, Double($0)), shape: [2, 8]) }
                Kernels.$areFused.withValue(isFused) {
                    let streams = [0, 2].map {
                        x[$0].value.gatedSum(
                            x[$0 + 1].value, gate: vectors[0].value, normalisedWith: vectors[1].value,
                            shift: vectors[2].value, epsilon: 1e-3)
                    }
                    let summands = streams.flatMap { [$0.sum, $0.normed] } + x[4...].map { $0.value.gelu() }
                    (summands.dropFirst().reduce(summands[0], +) * single(factors, size)).sum().backward()
                }
                return try (x + vectors).map { try #require($0.value.gradient).doubles }
            }
            for (fused, plain) in zip(gradients[0], gradients[1]) { expectClose(fused, plain, 3e-5) }
        }

        /// Where the exponential leaves float32's range: 0 on the left, x on the right, slopes 0 and 1.
        @Test func geluOfLargeNumbersIsAHinge() throws {
            let x = [-1e6, -1000, -100, -20, 20, 100, 1000, 1e6]
            let (y, gradient) = try gelu(x, x.map { _ in 1 }, isFused: true)
            #expect(y.map { abs($0) < 1e-30 ? 0 : $0 } == [0, 0, 0, 0, 20, 100, 1000, 1e6])
            #expect(gradient.map { abs($0) < 1e-20 ? 0 : $0 } == [0, 0, 0, 0, 1, 1, 1, 1])
        }

        @Test func whatIsNotANumberStaysVisible() {
            #expect(Tensor([Float.nan, 1]).gelu().doubles[0].isNaN)
            let x = Tensor([Float.nan, 1, 2, 3], shape: [2, 1, 2])
            let y = x.modulatedNorm(scale: .zeros([2, 2]), shift: .zeros([2, 2]), epsilon: 1e-6).doubles
            #expect(y.map(\.isNaN) == [true, true, false, false])
        }

        // MARK: - Against the twin

        /// The parts of a modulation as a network has them: pieces of one tensor, one row per sample, not side by side.
        @Test(arguments: [false, true])
        func partsOfAModulationNeedNoCopy(isTransposed: Bool) throws {
            let size = [3, 4, 20]
            let results = try [true, false].map { isFused in
                let x = Parameter(pattern(240), shape: size)
                let modulation = Parameter(pattern(120, 1), shape: [3, 40])
                // Transposed, the numbers of one sample do not lie side by side either.
                let parts =
                    isTransposed
                    ? modulation.value.reshaped([40, 3]).transposed(0, 1).expandingAxis(1).chunked(2, axis: -1)
                    : modulation.value.expandingAxis(1).chunked(2, axis: -1)
                let y = Kernels.$areFused.withValue(isFused) {
                    x.value.modulatedNorm(scale: parts[0], shift: parts[1], epsilon: 1e-6)
                }
                (y * single(pattern(240, 0.5), size)).sum().backward()
                return [y.doubles] + (try [x, modulation].map { try #require($0.value.gradient).doubles })
            }
            for (fused, plain) in zip(results[0], results[1]) { expectClose(fused, plain, 2e-6) }
        }

        @Test func anInputOfAnyLayoutGivesTheSame() throws {
            let x = Parameter(pattern(60), shape: [2, 6, 5]).value.transposed(1, 2)
            let scale = single(pattern(12, 1), [2, 6])
            for isFused in [true, false] {
                Kernels.$areFused.withValue(isFused) {
                    let y = x.modulatedNorm(scale: scale, shift: scale, epsilon: 1e-6)
                    let dense = x.contiguous().modulatedNorm(scale: scale, shift: scale, epsilon: 1e-6)
                    #expect(y.shape == [2, 5, 6])
                    expectClose(y.doubles, dense.doubles, 1e-6)
                    expectClose(x.gelu().doubles, x.contiguous().gelu().doubles, 1e-6)
                }
            }
        }

        /// Equal up to a tolerance as above, but not equal: otherwise both would run the same code.
        @Test func theSwitchChoosesTheCode() {
            let x = single(pattern(4096), [4, 8, 128])
            let scale = single(pattern(512, 1), [4, 128])
            func both() -> [[Double]] {
                [x.gelu().doubles, x.modulatedNorm(scale: scale, shift: scale, epsilon: 1e-6).doubles]
            }
            let plain = Kernels.$areFused.withValue(false) { both() }
            for (fused, plain) in zip(both(), plain) {
                expectClose(fused, plain, 2e-6)
                let isSame = fused == plain
                #expect(!isSame)
            }
        }

        /// The twin computes what a kernel does not know, under either switch.
        @Test func otherTypesAndShapesTakeTheTwin() throws {
            let x = single(pattern(24), [2, 3, 4])
            let one = single(pattern(4, 1), [1, 1, 4])
            let each = single(one.doubles + one.doubles, [2, 4])
            let broadcast = x.modulatedNorm(scale: one, shift: one, epsilon: 1e-6)
            let known = x.modulatedNorm(scale: each, shift: each, epsilon: 1e-6)
            expectClose(broadcast.doubles, known.doubles, 2e-6)
            let double = x.to(.F64).modulatedNorm(scale: each.to(.F64), shift: each.to(.F64), epsilon: 1e-6)
            #expect(double.type == .F64)
            expectClose(x.to(.F64).gelu().doubles, pattern(24).map(Formulas.gelu), 1e-12)
            #expect(Tensor.zeros([2, 0, 4]).modulatedNorm(scale: each, shift: each, epsilon: 1e-6).shape == [2, 0, 4])
            #expect(Tensor.zeros([0]).gelu().shape == [0])
            #expect(Tensor.zeros([2, 3], on: .meta).gelu().device == .meta)
        }

        @Test func wrongShapesFailWithTheWordsOfTheTwin() {
            let messages = [true, false].map { isFused in
                #expect(throws: TorchError.self) {
                    try withErrors {
                        Kernels.$areFused.withValue(isFused) {
                            Tensor.zeros([2, 3, 4]).modulatedNorm(
                                scale: .zeros([2, 5]), shift: .zeros([2, 5]), epsilon: 1e-6)
                        }
                    }
                }?.description
            }
            #expect(messages[0]?.contains("[2, 3, 4]") == true)
            #expect(messages[0] == messages[1])
        }

        // MARK: - What else a training relies on

        /// Results, and gradients where a sample's rows are several units, are the same bits.
        @Test(arguments: [[1, 300, 129], [5, 70, 130], [2, 512, 64]])
        func threadsDoNotChangeABit(size: [Int]) throws {
            let threads = Library.threads
            defer { Library.setThreads(threads) }
            let (inputs, weights) = modulatedInputs(size)
            let results = try [1, 2, 3].map { count in
                Library.setThreads(count)
                #expect(Library.threads == count)
                let norm = try modulatedNorm(size, inputs, weights, isFused: true)
                let gelu = try gelu(inputs[0], weights, isFused: true)
                return [norm.y] + norm.gradients + [gelu.y, gelu.gradient]
            }
            let areSame = results.map { $0 == results[0] }
            #expect(areSame == [true, true, true])
        }

        @Test func withoutGradientsTheSameBitsAndNothingKept() throws {
            let x = Parameter(pattern(4 * 8 * 32), shape: [4, 8, 32])
            let scale = Parameter(pattern(4 * 32, 1), shape: [4, 32])
            func both() -> [[Double]] {
                [
                    x.value.gelu().doubles,
                    x.value.modulatedNorm(scale: scale.value, shift: scale.value, epsilon: 1e-6).doubles,
                ]
            }
            let isSame = withoutGradients { both() } == both()
            #expect(isSame)
            // Constants, so that a derivative has only the factor that was recorded.
            let fixed = withoutGradients { x.value.gelu() }
            (fixed * x.value).sum().backward()
            #expect(try #require(x.value.gradient).doubles == fixed.doubles)
        }

        /// One input that is trained is enough, and the others get no gradient.
        @Test func anInputMayBeAConstant() throws {
            let x = single(pattern(24), [2, 3, 4])
            let shift = single(pattern(8), [2, 4])
            let gradients = try [true, false].map { isFused in
                let scale = Parameter(pattern(8, 1), shape: [2, 4])
                Kernels.$areFused.withValue(isFused) {
                    x.modulatedNorm(scale: scale.value, shift: shift, epsilon: 1e-6).square().sum().backward()
                }
                return try #require(scale.value.gradient).doubles
            }
            expectClose(gradients[0], gradients[1], 2e-6)
            #expect(x.gradient == nil)
        }

        // MARK: - Running a kernel, and its formula

        /// In float32, which is what the kernels are for.
        private func single(_ values: [Double], _ shape: [Int]) -> Tensor { Tensor(values, shape: shape).to(.F32) }

        private func modulatedInputs(_ size: [Int]) -> (inputs: [[Double]], weights: [Double]) {
            let (all, vectors) = (size.reduce(1, *), size[0] * size[2])
            return ([pattern(all), pattern(vectors, 1), pattern(vectors, 2)], pattern(all, 0.5))
        }

        /// The output, and the gradients of x, scale and shift under a sum with weights.
        private func modulatedNorm(
            _ size: [Int], _ inputs: [[Double]], _ weights: [Double], isFused: Bool
        ) throws -> (y: [Double], gradients: [[Double]]) {
            let vectors = [size[0], size[2]]
            let parameters = zip(inputs, [size, vectors, vectors]).map { Parameter($0, shape: $1) }
            let y = Kernels.$areFused.withValue(isFused) {
                parameters[0].value.modulatedNorm(
                    scale: parameters[1].value, shift: parameters[2].value, epsilon: 1e-3)
            }
            (y * single(weights, size)).sum().backward()
            return (y.doubles, try parameters.map { try #require($0.value.gradient).doubles })
        }

        private func gelu(
            _ x: [Double], _ weights: [Double], isFused: Bool
        ) throws -> (y: [Double], gradient: [Double]) {
            let parameter = Parameter(x, shape: [x.count])
            let y = Kernels.$areFused.withValue(isFused) { parameter.value.gelu() }
            (y * single(weights, [x.count])).sum().backward()
            return (y.doubles, try #require(parameter.value.gradient).doubles)
        }

        /// The same in float64. The gradient of a row's norm: (v - mean v - n mean(v n)) / deviation.
        private static func modulatedNormFormula(
            _ size: [Int], _ inputs: [[Double]], _ weights: [Double]
        ) -> (y: [Double], gradients: [[Double]]) {
            let (rows, width) = (size[1], size[2])
            let n = Formulas.normalized(inputs[0], size: width, epsilon: 1e-3)
            var y = n
            var gradients = inputs.map { $0.map { _ in 0.0 } }
            for row in 0..<size[0] * rows {
                let (start, vector) = (row * width, row / rows * width)
                let x = inputs[0][start..<start + width]
                let mean = x.reduce(0, +) / Double(width)
                let deviation = sqrt(x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width) + 1e-3)
                let v = (0..<width).map { weights[start + $0] * (1 + inputs[1][vector + $0]) }
                let meanV = v.reduce(0, +) / Double(width)
                let meanVN = v.indices.reduce(0) { $0 + v[$1] * n[start + $1] } / Double(width)
                for i in 0..<width {
                    y[start + i] = n[start + i] * (1 + inputs[1][vector + i]) + inputs[2][vector + i]
                    gradients[0][start + i] = (v[i] - meanV - n[start + i] * meanVN) / deviation
                    gradients[1][vector + i] += weights[start + i] * n[start + i]
                    gradients[2][vector + i] += weights[start + i]
                }
            }
            return (y, gradients)
        }
    }
}
