import ArgumentParser
import Diffusion
import Torch
import Transcend

/// Which kernels a command computes with.
struct KernelOptions: ParsableArguments {
    /// Our own, or libtorch's operators.
    enum Choice: String, ExpressibleByArgument, CaseIterable { case fused, plain }

    @Option(help: ArgumentHelp("Our own fused kernels, or plain: libtorch's operators alone.", valueName: "name"))
    var kernels = Choice.fused

    /// Runs `body` with the kernels that were asked for.
    func run<Result>(_ body: () throws -> Result) rethrows -> Result {
        try Kernels.$areFused.withValue(kernels == .fused, operation: body)
    }
}

// What flags name by its case; the parser lists the cases in --help and where a word is none of them.
extension Precision: ExpressibleByArgument {}
extension NetworkWeights: ExpressibleByArgument {}
extension Sampler.Mode: ExpressibleByArgument {}
extension BlockFeatures: ExpressibleByArgument {}
extension Reading: ExpressibleByArgument {}
