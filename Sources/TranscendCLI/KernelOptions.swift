import ArgumentParser
import Torch
import Transcend

/// Which kernels a command computes with.
struct KernelOptions: ParsableArguments {
    @Option(help: ArgumentHelp("fused, or plain: libtorch's operators alone.", valueName: "name"))
    var kernels = "fused"

    func validate() throws {
        guard kernels == "fused" || kernels == "plain" else {
            throw ValidationError("--kernels \(kernels): give fused or plain")
        }
    }

    /// Runs `body` with the kernels that were asked for.
    func run<Result>(_ body: () throws -> Result) rethrows -> Result {
        try Kernels.$areFused.withValue(kernels == "fused", operation: body)
    }
}

/// The precision that `--precision` names.
func parsePrecision(_ name: String) throws -> Precision {
    guard let precision = Precision(rawValue: name) else {
        throw ConfigurationError("--precision \(name): choose f32 or bf16")
    }
    return precision
}
