import ArgumentParser
import Diffusion
import Torch
import Transcend

/// The choice of kernels.
struct KernelOptions: ParsableArguments {
    /// The program's own kernels, or libtorch's operators.
    enum Choice: String, ExpressibleByArgument, CaseIterable { case fused, plain }

    @Option(help: ArgumentHelp("Our own fused kernels, or plain: libtorch's operators alone.", valueName: "name"))
    var kernels = Choice.fused

    /// Runs `body` with the chosen kernels.
    func run<Result>(_ body: () throws -> Result) rethrows -> Result {
        try Kernels.$areFused.withValue(kernels == .fused, operation: body)
    }
}

// Flags give these values by their case names; the parser lists them in --help and in errors.
extension Precision: ExpressibleByArgument {}
extension NetworkWeights: ExpressibleByArgument {}
extension Sampler.Mode: ExpressibleByArgument {}
extension BlockFeatures: ExpressibleByArgument {}
extension Reading: ExpressibleByArgument {}
