import Testing
import Torch

extension EngineTests {
    /// Handles are counted in the whole process, so each count is taken in a process of its own.
    @Suite struct LifetimeTests {
        #if compiler(>=6.2)  // which brought exit tests; before it there are none of these
            @Test func operationsReleaseWhatTheyMake() async {
                await #expect(processExitsWith: .success) { expectNothingLeft(after: operations) }
            }

            @Test func failuresReleaseWhatWasMadeBefore() async {
                await #expect(processExitsWith: .success) { expectNothingLeft(after: failures) }
            }

            @Test func trainingStepsReleaseGraphsAndGradients() async {
                await #expect(processExitsWith: .success) { expectNothingLeft(after: trainingSteps) }
            }

            @Test func tensorsThatAreKeptAreCounted() async {
                await #expect(processExitsWith: .success) {
                    let first = Tensor.zeros([2])
                    let before = Tensor.liveHandles
                    // An optimised build would otherwise release them before they are counted.
                    withExtendedLifetime([first, first + 1, first[0]]) { _ in #expect(Tensor.liveHandles == before + 2)
                    }
                    #expect(Tensor.liveHandles == before)
                    withExtendedLifetime(first) {}
                }
            }
        #endif

        @Test func memoryInUseKeepsItsOwner() {
            final class Owner {
                let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 8, alignment: 8)
                deinit { bytes.deallocate() }
            }
            weak var released: Owner?
            do {
                var slice: Tensor
                do {
                    let owner = Owner()
                    released = owner
                    owner.bytes.storeBytes(of: 2.5, as: Double.self)
                    let view = Tensor(viewing: .init(owner.bytes), type: .F64, shape: [1], owner: owner)
                    slice = view[0]
                }
                #expect(released != nil)
                #expect(slice.item() == 2.5)
                slice = .zeros([])
                #expect(released == nil)
            }
        }
    }
}

/// Runs `work` once, so that libtorch and what is made once are there, and then counts around three more runs.
private func expectNothingLeft(after work: () -> Void) {
    work()
    let before = Tensor.liveHandles
    for _ in 0..<3 { work() }
    #expect(Tensor.liveHandles == before)
}

private func operations() {
    let x = Tensor.range(24).reshaped([2, 3, 4])
    let parts = x.chunked(2, axis: 2)
    let joined = Tensor.concatenate([Tensor.stack(parts).sum([0]), parts[0]], axis: 1)
    var copy = joined.to(.F64).copied()
    copy.assign(joined.transposed(0, 1).contiguous().transposed(0, 1))
    _ = copy.gathering(Tensor([1, 0]))[0..<1].isFinite
    _ = copy.withHostBytes { $0.count }
}

private func failures() {
    for operation in FailingOperation.all { try? withErrors { operation.run() } }
    _ = try? withErrors { Tensor.concatenate(Tensor.zeros([5, 2]).chunked(7, axis: 0)).reshaped([3]) }
}

private func trainingSteps() {
    let layer = Linear(3, 2, on: .cpu)
    layer.initialise(stage: "test", seed: 1)
    let parameters = layer.parameters()
    let optimizer = AdamW(parameters, AdamWSettings())
    let average = ExponentialMovingAverage(of: parameters, decay: 0.9)
    for _ in 0..<3 {
        layer(.full([4, 3], 1)).square().sum().backward()
        let factor = clippingFactor(ofNorm: parameters.gradientNorm().item(), toNorm: 1)
        optimizer.update(learningRate: 1e-3, gradientFactor: factor, averaging: average)
        parameters.removeGradients()
        parameters.fillMissingGradients()
    }
}
