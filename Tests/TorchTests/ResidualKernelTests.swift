import CUDAEmulation
import Formats
import Foundation
import TestSupport
import Testing
import Torch

/// Sizes of a stream: less than a unit of rows, several units, a unit and a part; widths of a part of a warp and of two.
private let sizes = [[2, 3, 20], [2, 64, 4], [1, 70, 132], [3, 17, 256]]

/// The parts of the residual stream together, against themselves one by one in float64, and on CUDA.
extension EngineTests {
    @Suite struct ResidualKernelTests {
        /// One pass for sum and norm is the one after the other; libtorch's operators in float64 say what comes out.
        @Test(arguments: sizes, [Precision.f32, .bf16])
        func sumAndNormTogetherAreThoseOfTheTwin(size: [Int], precision: Precision) throws {
            let inputs = Inputs(size, branch: precision == .bf16 ? .BF16 : .F32)
            let fused = try inputs.results(.F32, precision)
            let exact = try Kernels.$areFused.withValue(false) { try inputs.results(.F64, .f32) }
            for ((name, values), (_, expected)) in zip(fused, exact) {
                // BFloat16 a unit in the last of 8 binary digits of numbers below 8.
                let isRounded = precision == .bf16 && ["normed", "branch"].contains(name)
                expectClose(values, expected, isRounded ? 1.0 / 64 : 3e-5, "\(name)")
            }
        }

        @Test(arguments: [1, 2, 3])
        func threadsDoNotChangeABit(count: Int) throws {
            let threads = Library.threads
            defer { Library.setThreads(threads) }
            let inputs = Inputs([5, 70, 132], branch: .F32)
            let expected = try inputs.results(.F32, .f32).map(\.values)
            Library.setThreads(count)
            let isSame = try inputs.results(.F32, .f32).map(\.values) == expected
            #expect(isSame)
        }

        /// A sum whose norm alone is used, and one that is used alone.
        @Test func oneOfBothMayBeUnused() throws {
            for (usesSum, usesNorm) in [(true, false), (false, true)] {
                let inputs = Inputs([2, 5, 8], branch: .F32, usesSum: usesSum, usesNorm: usesNorm)
                let exact = try Kernels.$areFused.withValue(false) { try inputs.results(.F64, .f32) }
                for ((name, values), (_, expected)) in zip(try inputs.results(.F32, .f32), exact) {
                    expectClose(values, expected, 3e-5, "\(name)")
                }
            }
        }

        /// The source that CUDA devices compile, thread by thread.
        @Test(arguments: sizes, [ElementType.F32, .BF16])
        func theKernelsOfCUDAComputeTheSame(size: [Int], branch: ElementType) throws {
            for (hasBranch, hasNorm) in [(true, false), (false, true), (true, true)] {
                let inputs = Inputs(size, branch: branch, hasBranch: hasBranch, hasNorm: hasNorm)
                let results = try inputs.results(.F32, branch == .BF16 ? .bf16 : .f32)
                let expected = Dictionary(uniqueKeysWithValues: results.map { ($0.name, $0.values) })
                let emulated = inputs.emulated()
                for (name, values) in emulated.dropLast(hasBranch ? 1 : 0) {
                    let isRounded = branch == .BF16 && ["normed", "branch"].contains(name)
                    expectClose(
                        values, try #require(expected[name]), isRounded ? 1.0 / 64 : 1e-5,
                        "\(name), \(hasBranch), \(hasNorm)")
                }
                guard hasBranch else { continue }
                let gradient = try #require(expected["branch"])
                let sums = (0..<size[0] * size[2]).map { place in
                    (0..<size[1]).reduce(0) {
                        $0 + gradient[(place / size[2] * size[1] + $1) * size[2] + place % size[2]]
                    }
                }
                // Those of rounded numbers differ by the rounding of as many numbers below 8.
                let bound = branch == .BF16 ? Double(size[1]) / 64 : 1e-4
                expectClose(emulated.last!.values, sums, bound, "sums, \(hasNorm)")
            }
        }

        @Test(.enabled(if: Library.cudaDevices > 0), arguments: sizes, [Precision.f32, .bf16])
        func aCUDADeviceComputesTheSame(size: [Int], precision: Precision) throws {
            let device = Device(kind: .cuda)
            #expect(Kernels.cudaProblem(of: device) == nil)
            let inputs = Inputs(size, branch: precision == .bf16 ? .BF16 : .F32)
            let expected = try inputs.results(.F32, precision)
            for ((name, values), (_, others)) in zip(try inputs.results(.F32, precision, on: device), expected) {
                let isRounded = precision == .bf16 && ["normed", "branch"].contains(name)
                expectClose(values, others, isRounded ? 1.0 / 64 : 1e-5, "\(name)")
            }
        }
    }
}

/// A stream, a branch, the vectors, and what weighs the results in the sum that is differentiated.
private struct Inputs {
    let size: [Int]
    let branchType: ElementType
    let (hasBranch, hasNorm): (Bool, Bool)
    let (usesSum, usesNorm): (Bool, Bool)
    private let epsilon = 1e-3

    init(
        _ size: [Int], branch: ElementType, hasBranch: Bool = true, hasNorm: Bool = true, usesSum: Bool = true,
        usesNorm: Bool = true
    ) {
        (self.size, branchType, self.hasBranch, self.hasNorm) = (size, branch, hasBranch, hasNorm)
        (self.usesSum, self.usesNorm) = (usesSum, usesNorm)
    }

    private var count: Int { size.reduce(1, *) }
    private var vectors: [Int] { [size[0], size[2]] }
    private var vectorCount: Int { size[0] * size[2] }

    /// x, branch, gate, scale, shift; then the weights of sum and normed. The branch as its type holds it, like the weights of
    /// what is rounded.
    private var values: [[Double]] {
        let rounded = { (values: [Double]) in Tensor(values, shape: [values.count]).to(branchType).doubles }
        return [
            pattern(count), rounded(pattern(count, 3)), pattern(vectorCount, 1), pattern(vectorCount, 2),
            pattern(vectorCount, 4), pattern(count, 5), rounded(pattern(count, 6)),
        ]
    }

    /// Results and gradients by name, of those parts that there are.
    func results(
        _ type: ElementType, _ precision: Precision, on device: Device = .cpu
    ) throws -> [(name: String, values: [Double])] {
        let shapes = [size, size, vectors, vectors, vectors]
        let parameters = zip(values, shapes).map { values, shape in
            let parameter = Parameter(shape, .zeros, on: device)
            parameter.assign(Tensor(values, shape: shape))
            return parameter
        }
        let operands = parameters.map { $0.value.to(type) }
        let branch = type == .F64 ? operands[1] : operands[1].to(branchType)
        let (sum, normed): (Tensor?, Tensor?) = Precision.$current.withValue(precision) {
            switch (hasBranch, hasNorm) {
            case (true, false): return (operands[0].gatedSum(branch, gate: operands[2]), nil)
            case (false, _):
                return (nil, operands[0].modulatedNorm(scale: operands[3], shift: operands[4], epsilon: epsilon))
            default:
                return operands[0].gatedSum(
                    branch, gate: operands[2], normalisedWith: operands[3], shift: operands[4], epsilon: epsilon)
            }
        }
        let weights = values[5...].map { Tensor($0, shape: size).to(device) }
        let terms = [
            usesSum ? sum.map { ($0 * weights[0].to($0.type)).to(.F64).sum() } : nil,
            usesNorm ? normed.map { ($0.to(.F64) * weights[1]).sum() } : nil,
        ].compactMap { $0 }
        terms.dropFirst().reduce(terms[0], +).backward()
        let names = ["x", "branch", "gate", "scale", "shift"]
        let gradients = try zip(names, parameters).compactMap { name, parameter in
            let isThere = name == "x" || (["branch", "gate"].contains(name) ? hasBranch : hasNorm)
            return isThere && (usesNorm || !["scale", "shift"].contains(name))
                ? (name, try #require(parameter.value.gradient).doubles) : nil
        }
        return [sum.map { ("sum", $0.doubles) }, normed.map { ("normed", $0.doubles) }].compactMap { $0 } + gradients
    }

    /// The same from the kernels of CUDA, and then the sums of the branch's gradient. Where nothing is normalised, x is not
    /// among them: what comes back at the sum goes on as it is.
    func emulated() -> [(name: String, values: [Double])] {
        var inputs = values.map { $0.map(Float.init) }
        let counts = [count, count, count, count, vectorCount, vectorCount, vectorCount, vectorCount]
        var outputs = counts.map { [Float](repeating: .nan, count: $0) }
        let isThere = [hasBranch, hasNorm, hasNorm, hasBranch, hasBranch, hasNorm, hasNorm, hasBranch]
        withPointers(to: &inputs) { x in
            withPointers(to: &outputs) { out in
                let (branch, norm) = (hasBranch, hasNorm)
                var arrays = emulated_residual(
                    samples: Int64(size[0]), rows: Int64(size[1]), width: Int64(size[2]), isBF16: branchType == .BF16,
                    epsilon: Float(epsilon), x: x[0], branch: branch ? x[1] : nil, gate: branch ? x[2] : nil,
                    scale: norm ? x[3] : nil, shift: norm ? x[4] : nil, gradientSum: branch ? x[5] : nil,
                    gradientNormed: norm ? x[6] : nil, sum: branch ? out[0] : nil, normed: norm ? out[1] : nil,
                    gradientX: out[2], gradientBranch: branch ? out[3] : nil, gradientGate: branch ? out[4] : nil,
                    gradientScale: norm ? out[5] : nil, gradientShift: norm ? out[6] : nil,
                    gradientBranchSums: branch ? out[7] : nil)
                expectNoProblem(emulate_residual(&arrays))
            }
        }
        let names = ["sum", "normed", "x", "branch", "gate", "scale", "shift", "branch's sums"]
        return zip(names, zip(outputs, isThere)).compactMap { $1.1 ? ($0, $1.0.map(Double.init)) : nil }
    }
}
