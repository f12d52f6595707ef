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

        /// A kernel that leaves a gradient unwritten is found, wherever the gradient stands.
        @Test(arguments: [Double.nan, .infinity, 1.02])
        func whatIsNoNumberDiffers(value: Double) {
            let twins = (0..<3).map { _ in Tensor.full([4], 1) }
            let own = [twins[0], Tensor.full([4], value), twins[2]]
            #expect(Kernels.difference(of: own, from: twins, beyond: 1e-2) != nil)
            #expect(Kernels.difference(of: twins, from: twins, beyond: 1e-2) == nil)
        }
    }
}
