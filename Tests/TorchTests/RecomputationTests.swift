import Synchronization
import Testing
import Torch

extension EngineTests {
    /// What a backward pass computes anew.
    @Suite struct RecomputationTests {
        private let first = Linear(16, 32, on: .cpu)
        private let second = Linear(32, 16, on: .cpu)
        private var x: Parameter { Parameter(pattern(5 * 16), shape: [5, 16]) }

        init() {
            for (index, layer) in [first, second].enumerated() { layer.initialise(stage: "test", seed: UInt64(index)) }
        }

        /// Of both results or of one, in both precisions: the gradients of inputs and parameters.
        @Test(arguments: [(true, Precision.f32), (false, .f32), (true, .bf16)])
        func gradientsAreTheSameBits(usesBoth: Bool, precision: Precision) throws {
            let gradients = try [false, true].map { isOn in
                let (x, condition) = (x, Parameter(pattern(16, 1), shape: [16]))
                let calls = Mutex(0)
                Precision.$current.withValue(precision) {
                    Recomputation.$isOn.withValue(isOn) {
                        let results = recomputing([x.value, condition.value]) { inputs in
                            calls.withLock { $0 += 1 }
                            let hidden = first(inputs[0] * inputs[1]).gelu()
                            return [second(hidden).to(.F32), hidden.to(.F32)]
                        }
                        let used = results[0].square().sum()
                        (usesBoth ? used + results[1].sum() : used).backward()
                    }
                }
                #expect(calls.withLock { $0 } == (isOn ? 2 : 1))
                let layers = first.parameters() + second.parameters()
                defer { layers.removeGradients() }
                return try ([x, condition] + layers.map(\.parameter)).map { try #require($0.value.gradient).doubles }
            }
            let areSame = gradients[0] == gradients[1]
            #expect(areSame)
        }

        @Test func withoutGradientsNothingIsComputedAgain() {
            let result = withoutGradients {
                Recomputation.$isOn.withValue(true) { recomputing([x.value]) { [$0[0] * 2] } }
            }
            #expect(result[0].doubles == pattern(80).map { 2 * $0 })
        }

        /// The second run is inside libtorch's backward pass; what fails there is thrown where that was begun.
        @Test func whatFailsInTheBackwardPassIsThrown() {
            let calls = Mutex(0)
            let error = #expect(throws: TorchError.self) {
                try withErrors {
                    Recomputation.$isOn.withValue(true) {
                        recomputing([x.value]) { inputs in
                            let call = calls.withLock { calls in
                                calls += 1
                                return calls
                            }
                            return within("middle") { [call == 1 ? inputs[0] * 2 : inputs[0].matmul(inputs[0])] }
                        }[0].sum().backward()
                    }
                }
            }
            #expect(error?.description.contains("matmul of [5, 16], [5, 16] in middle") == true, "\(error!)")
        }
    }
}
