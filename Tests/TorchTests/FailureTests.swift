import TestSupport
import Testing
import Torch

/// An operation that fails, with the text of its error. What stands after the colon is what PyTorch says.
struct FailingOperation: Sendable, CustomTestStringConvertible {
    let text: String
    let run: @Sendable () -> Void

    init(_ text: String, _ run: @escaping @Sendable () -> Void) {
        self.text = text
        self.run = run
    }

    var testDescription: String { text }

    private static let a = Tensor.zeros([2, 3])

    static let all = [
        FailingOperation(
            "add of [2, 3], [2, 4]: The size of tensor a (3) must match the size of tensor b (4) at non-singleton "
                + "dimension 1"
        ) { _ = a + Tensor.zeros([2, 4]) },
        FailingOperation("matmul of [2, 3], [4, 5]: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)") {
            _ = a.matmul(.zeros([4, 5]))
        },
        FailingOperation("linear of [2, 3], [5, 4]: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)") {
            _ = a.linear(.zeros([5, 4]), nil)
        },
        FailingOperation("reshape of [2, 3]: shape '[4, 2]' is invalid for input of size 6") {
            _ = a.reshaped([4, 2])
        },
        FailingOperation(
            "cat of [2, 3], [2, 4]: Sizes of tensors must match except in dimension 0. Expected size 3 but got size 4 "
                + "for tensor number 1 in the list."
        ) { _ = Tensor.concatenate([a, .zeros([2, 4])]) },
        FailingOperation("embedding of [3, 2], [1]: index out of range in self") {
            _ = Tensor([5]).embedded(in: .zeros([3, 2]))
        },
        FailingOperation("index_select of [2, 3], [1]: index out of range in self") { _ = a.gathering(Tensor([7])) },
        FailingOperation("select of [2, 3]: select(): index 5 out of range for tensor of size [2, 3] at dimension 0") {
            _ = a[5]
        },
        FailingOperation("empty: Trying to create tensor with negative dimension -2: [-2]") { _ = Tensor.empty([-2]) },
        FailingOperation(
            "empty: Storage size calculation overflowed with sizes=[1048576, 1048576, 1048576, 1048576]"
        ) { _ = Tensor.empty([1 << 20, 1 << 20, 1 << 20, 1 << 20]) },
        FailingOperation("backward of [2]: grad can be implicitly created only for scalar outputs") {
            Parameter([2], .zeros, on: .cpu).value.backward()
        },
        FailingOperation("chunk of [2, 3]: 0 equal parts do not make 3") { _ = a.chunked(0, axis: 1) },
        FailingOperation("chunk of [2, 3]: 2 equal parts do not make 3") { _ = a.chunked(2, axis: 1) },
        FailingOperation("size(2) of [2, 3]: the tensor has no such axis") { _ = a.size(2) },
        FailingOperation("item of [2, 3]: only a tensor with one element is a number") { _ = a.item() },
    ]
}

extension EngineTests {
    @Suite struct FailureTests {
        @Test(arguments: FailingOperation.all)
        func aFailureIsOneLineWithOperationShapesAndReason(operation: FailingOperation) {
            let error = #expect(throws: TorchError.self) { try withErrors { operation.run() } }
            #expect(error?.description == operation.text)
        }

        /// Else it would go on with the empty results of operations that did not run.
        @Test func nothingRunsInsideWhatHasFailedAlready() {
            let error = #expect(throws: TorchError.self) {
                try withErrors {
                    _ = Tensor.zeros([2]) + .zeros([3])
                    _ = try withErrors { Issue.record("it ran") }
                }
            }
            #expect(error?.description.hasPrefix("add of [2], [3]: ") == true)
        }

        @Test func aFailureNamesThePartOfTheNetwork() {
            let error = #expect(throws: TorchError.self) {
                try withErrors { within("blocks.3") { Tensor.zeros([2, 3]) + .zeros([2, 4]) } }
            }
            #expect(error?.description.hasPrefix("add of [2, 3], [2, 4] in blocks.3: ") == true)
        }

        /// Too large for any machine of today: 64 TiB.
        @Test func memoryThatRunsOutIsAnErrorOfOneLine() {
            let error = #expect(throws: TorchError.self) { try withErrors { Tensor.empty([1 << 24, 1 << 20]) } }
            #expect(error?.description.contains("can't allocate memory") == true)
            #expect(error?.description.contains("\n") == false)
        }

        @Test func aNetworkTooLargeForMemoryIsAnErrorOfItsInitialisation() {
            struct Wide: Module {
                let weight = Parameter([1 << 24, 1 << 20], .xavierUniform, on: .cpu)
                func walk(_ walk: inout Walk) { walk("weight", weight) }
            }
            let error = #expect(throws: TorchError.self) {
                try withErrors { Wide().initialise(stage: "plain", seed: 0) }
            }
            #expect(error?.description.contains("can't allocate memory") == true)
        }

        @Test func theFirstFailureIsThrownAndNothingRunsAfterIt() {
            var target = Tensor.zeros([2])
            let parameter = Parameter([0.5], shape: [1])
            let error = #expect(throws: TorchError.self) {
                try withErrors {
                    let nothing = Tensor.zeros([2, 3]).reshaped([4, 2])
                    target.assign(.full([2], 7))
                    parameter.value.sum().backward()
                    // None of these may trap on what the failed operation gave.
                    let parts = nothing.chunked(3, axis: 1)
                    _ = parts[2].size(4) + parts.count
                    _ = nothing.matmul(parts[1])[3].gathering(Tensor([1])).item()
                    _ = nothing.to(.F64).values(as: Double.self)
                    _ = nothing.layerNormalized(epsilon: 1e-6).attention(keys: nothing, values: nothing)
                    _ = Tensor([1, 2] as [Float]).withHostBytes { $0.count }
                }
            }
            #expect(error?.description.hasPrefix("reshape of [2, 3]") == true)
            #expect(target.doubles == [0, 0])
            #expect(parameter.value.gradient == nil)
        }

        @Test func operationsRunAgainAfterwards() throws {
            #expect(throws: TorchError.self) { try withErrors { Tensor.zeros([2]).reshaped([3]) } }
            #expect(try withErrors { Tensor.full([2], 3).sum().item() } == 6)
        }

        @Test func errorsOfTheBodyPassThrough() {
            struct Other: Error {}
            #expect(throws: Other.self) { try withErrors { throw Other() } }
        }

        @Test func anInnerScopeKeepsItsFailure() throws {
            try withErrors {
                #expect(throws: TorchError.self) { try withErrors { Tensor.zeros([2]).reshaped([3]) } }
                #expect(Tensor.full([2], 3).sum().item() == 6)
            }
        }

        #if compiler(>=6.2)  // which brought exit tests; before it there are none of these
            @Test func elsewhereAFailureEndsTheProcessWithOneLine() async throws {
                let result = try await #require(processExitsWith: .exitCode(1), observing: [\.standardErrorContent]) {
                    within("final_layer") { _ = Tensor.zeros([2, 3]).reshaped([4, 2]) }
                }
                let text = String(decoding: result.standardErrorContent, as: UTF8.self)
                #expect(
                    text == "error: reshape of [2, 3] in final_layer: "
                        + "shape '[4, 2]' is invalid for input of size 6\n")
            }
        #endif
    }
}
