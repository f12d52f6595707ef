import ArgumentParser
import Diffusion
import Foundation
import Torch
import Transcend

/// The sampling options of all commands that draw samples.
struct SamplingOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Folder or file of the autoencoder that decodes latents. (default: that of the run)", valueName: "path"))
    var autoencoder: String?
    @Option(help: ArgumentHelp("Averaged or raw.", valueName: "name"))
    var weights = NetworkWeights.ema
    @Option(help: ArgumentHelp("Solver steps.", valueName: "n"))
    var steps = 50
    @Option(help: ArgumentHelp("The solver.", valueName: "name"))
    var mode = Sampler.Mode.ode
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
    @Option(help: ArgumentHelp("Of products.", valueName: "type"))
    var precision = Precision.f32
    @Option(help: ArgumentHelp("auto, cpu, cuda or cuda:N.", valueName: "name"))
    var device = "auto"

    /// The first flag that says something else than the default, but for the device, on which pictures are measured too; nil if
    /// none does.
    var given: String? {
        get throws {
            let defaults = try SamplingOptions.parse([])
            let flags = [
                ("--autoencoder", autoencoder != defaults.autoencoder), ("--weights", weights != defaults.weights),
                ("--steps", steps != defaults.steps), ("--mode", mode != defaults.mode), ("--cfg", cfg != defaults.cfg),
                ("--guidance-low", guidanceLow != defaults.guidanceLow),
                ("--guidance-high", guidanceHigh != defaults.guidanceHigh),
                ("--guidance-channels", guidanceChannels != defaults.guidanceChannels),
                ("--seed", seed != defaults.seed),
                ("--precision", precision != defaults.precision),
            ]
            return flags.first(where: \.1)?.0
        }
    }

    /// The settings, as far as they can be checked without a checkpoint.
    func settings() throws -> SamplingSettings {
        if let problem = deviceProblem(device) { throw ConfigurationError("--device: \(problem)") }
        let guidance = Guidance(scale: cfg, low: guidanceLow, high: guidanceHigh, channels: guidanceChannels)
        var settings = SamplingSettings()
        settings.sampler = Sampler(mode: mode, steps: steps, guidance: guidance)
        if let problem = settings.sampler.problem { throw ConfigurationError(problem) }
        (settings.weights, settings.seed, settings.device, settings.precision) = (weights, seed, device, precision)
        settings.autoencoder = try autoencoder.map(absolute)
        return settings
    }
}
