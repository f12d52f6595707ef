import ArgumentParser
import Diffusion
import Foundation
import Torch
import Transcend

/// How samples are drawn; what the commands that draw have in common.
struct SamplingOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Folder or file of the autoencoder that decodes latents. (default: that of the run)", valueName: "path"))
    var autoencoder: String?
    @Option(help: ArgumentHelp("ema or raw.", valueName: "name"))
    var weights = "ema"
    @Option(help: ArgumentHelp("Solver steps.", valueName: "n"))
    var steps = 50
    @Option(help: ArgumentHelp("ode, heun or sde.", valueName: "name"))
    var mode = "ode"
    @Option(help: ArgumentHelp("Scale of classifier-free guidance; 1: off.", valueName: "s"))
    var cfg = 2.0
    @Option(help: ArgumentHelp("Lowest time t at which guidance acts, 0 to 1.", valueName: "t"))
    var guidanceLow = 0.0
    @Option(help: ArgumentHelp("Highest time t at which guidance acts, 0 to 1.", valueName: "t"))
    var guidanceHigh = 1.0
    @Option(help: ArgumentHelp("Guide the first n channels only. (default: all)", valueName: "n"))
    var guidanceChannels: Int?
    @Option(help: ArgumentHelp("Seed of the noise.", valueName: "n"))
    var seed: UInt64 = 0
    @Option(help: ArgumentHelp("Of products: f32 or bf16.", valueName: "type"))
    var precision = "f32"
    @Option(help: ArgumentHelp("auto, cpu, cuda or cuda:N.", valueName: "name"))
    var device = "auto"

    /// The settings, as far as they can be checked without a checkpoint.
    func settings() throws -> SamplingSettings {
        if let problem = deviceProblem(device) { throw ConfigurationError("--device: \(problem)") }
        guard let mode = Sampler.Mode(rawValue: mode) else {
            throw ConfigurationError("--mode \(mode): choose ode, heun or sde")
        }
        guard let weights = NetworkWeights(rawValue: weights) else {
            throw ConfigurationError("--weights \(weights): choose ema or raw")
        }
        let guidance = Guidance(scale: cfg, low: guidanceLow, high: guidanceHigh, channels: guidanceChannels)
        var settings = SamplingSettings()
        settings.sampler = Sampler(mode: mode, steps: steps, guidance: guidance)
        if let problem = settings.sampler.problem { throw ConfigurationError(problem) }
        (settings.weights, settings.seed, settings.device) = (weights, seed, device)
        settings.precision = try parsePrecision(precision)
        settings.autoencoder = try autoencoder.map(absolute)
        return settings
    }
}
