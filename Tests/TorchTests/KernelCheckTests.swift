import Testing
import Torch

extension EngineTests {
    @Suite struct KernelCheckTests {
        @Test(arguments: [true, false])
        func theKernelsOfTheProcessorAgreeWithTheirTwins(isRecording: Bool) throws {
            let check = { try Kernels.difference(on: .cpu) }
            let difference = try isRecording ? check() : withoutGradients(check)
            #expect(difference == nil)
        }
    }
}
