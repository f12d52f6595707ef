import TestSupport
import Testing
import Torch

/// In bfloat16 a linear layer keeps its rounded weight; only the clock may notice.
struct RoundedWeightTests {
    private let layer = Linear(64, 32, on: .cpu)
    private let x = Tensor((0..<301 * 64).map { Double($0 % 127 - 60) / 37 }, shape: [301, 64]).to(.F32)

    init() { layer.initialise(stage: "test", seed: 3) }

    private func output(_ given: Linear? = nil, areFused: Bool) -> [Double] {
        Precision.$current.withValue(.bf16) {
            Kernels.$areFused.withValue(areFused) { withoutGradients { (given ?? layer)(x).to(.F32).doubles } }
        }
    }

    /// Sums in another order may round the other way.
    @Test func outputsAreTheTwins() { expectTwins() }

    private func expectTwins(_ given: Linear? = nil, sourceLocation: SourceLocation = #_sourceLocation) {
        let (fused, plain) = (output(given, areFused: true), output(given, areFused: false))
        expectClose(fused, plain, 0x1p-7, sourceLocation: sourceLocation)
    }

    @Test func gradientsAreFloat32SumsOverRows() throws {
        try withErrors { Precision.$current.withValue(.bf16) { layer(x).to(.F32).sum().backward() } }
        let (weight, bias) = (layer.weight.value.gradient, layer.bias?.value.gradient)
        #expect(weight?.type == .F32 && bias?.type == .F32)
        #expect(bias?.doubles == Array(repeating: 301, count: 32))
        let rounded = x.to(.BF16).to(.F64).sum([0]).doubles
        for (index, own) in try #require(weight).doubles.enumerated() {
            let exact = rounded[index % 64]
            #expect(abs(own - exact) <= 0.004 * abs(exact) + 1e-6)
        }
    }

    @Test func weightsThatWereAssignedAreSeen() {
        _ = output(areFused: true)
        layer.weight.assign(.zeros([32, 64]))
        #expect(output(areFused: true).allSatisfy { $0 == 0 })
    }

    /// Both in the layer and in one that holds the moving averages, as SRA's teacher does.
    @Test(arguments: [true, false])
    func weightsThatTheOptimiserMovedAreSeen(isFused: Bool) throws {
        let follower = Linear(64, 32, on: .cpu)
        let places = follower.parameters().map { ($0.name, $0.parameter.value.detached()) }
        let average = ExponentialMovingAverage(
            of: layer.parameters(), decay: 0.5, into: Dictionary(uniqueKeysWithValues: places))
        let layers = [layer, follower]
        let before = layers.map { output($0, areFused: true) }
        #expect(before[0] == before[1])
        try withErrors {
            Precision.$current.withValue(.bf16) { layer(x).to(.F32).sum().backward() }
            Kernels.$areFused.withValue(isFused) {
                AdamW(layer.parameters(), AdamWSettings()).update(learningRate: 0.1, averaging: average)
            }
        }
        for (layer, before) in zip(layers, before) {
            #expect(output(layer, areFused: true) != before)
            expectTwins(layer)
        }
    }
}
