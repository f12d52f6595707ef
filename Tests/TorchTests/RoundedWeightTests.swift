import TestSupport
import Testing
import Torch

/// In bfloat16 a linear layer keeps its rounded weight; only the clock may notice.
struct RoundedWeightTests {
    private let layer = Linear(64, 32, on: .cpu)
    private let x = Tensor((0..<301 * 64).map { Double($0 % 127 - 60) / 37 }, shape: [301, 64]).to(.F32)

    init() { layer.initialise(stage: "test", seed: 3) }

    private func output(areFused: Bool) -> [Double] {
        Precision.$current.withValue(.bf16) {
            Kernels.$areFused.withValue(areFused) { withoutGradients { layer(x).to(.F32).doubles } }
        }
    }

    /// Sums in another order may round the other way.
    @Test func outputsAreTheTwins() { expectTwins() }

    private func expectTwins(sourceLocation: SourceLocation = #_sourceLocation) {
        expectClose(output(areFused: true), output(areFused: false), 0x1p-7, sourceLocation: sourceLocation)
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

    @Test func weightsThatTheOptimiserMovedAreSeen() throws {
        let before = output(areFused: true)
        try withErrors {
            Precision.$current.withValue(.bf16) { layer(x).to(.F32).sum().backward() }
            AdamW(layer.parameters(), AdamWSettings()).update(learningRate: 0.1)
        }
        #expect(output(areFused: true) != before)
        expectTwins()
    }
}
