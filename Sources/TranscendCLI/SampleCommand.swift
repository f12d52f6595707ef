import ArgumentParser
import Data
import Diffusion
import Foundation
import Torch
import Transcend

struct SampleCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sample",
        abstract: "Draw samples from a checkpoint.",
        usage: "transcend sample --checkpoint <folder> --out <path> [<options>]")

    @Option(help: "A checkpoint, or a run: its newest.")
    var checkpoint: String
    @Option(help: "A grid (NAME.png), an array (NAME.npz), or a folder for single PNGs.")
    var out: String
    @Option(help: "Number of samples. (default: 8 of each label)")
    var count: Int?
    @Option(parsing: .upToNextOption, help: "Classes by number or name, or 'random'. (default: all)")
    var labels: [String] = []
    @Option(help: "ema or raw.")
    var weights = "ema"
    @Option(help: "Solver steps.")
    var steps = 50
    @Option(help: "ode, heun or sde.")
    var mode = "ode"
    @Option(help: "Scale of classifier-free guidance; 1: off.")
    var cfg = 2.0
    @Option(help: "Lowest time t at which guidance acts, 0 to 1.")
    var guidanceLow = 0.0
    @Option(help: "Highest time t at which guidance acts, 0 to 1.")
    var guidanceHigh = 1.0
    @Option(help: "Guide the first n channels only. (default: all)")
    var guidanceChannels: Int?
    @Option(help: "Seed of the noise.")
    var seed: UInt64 = 0
    @Option(help: "auto, cpu, cuda or cuda:N.")
    var device = "auto"

    func run() throws {
        if let problem = deviceProblem(device) { throw ConfigurationError("--device: \(problem)") }
        let sampler = try sampler()
        guard let weights = Checkpoint.Weights(rawValue: weights) else {
            throw ConfigurationError("--weights \(weights): choose ema or raw")
        }
        let output = try SampleOutput(path: absolute(out))
        let source = try Checkpoint(absolute(checkpoint))
        let chosen = try SampleLabels(labels, count: count, classNames: source.state.classNames, seed: seed)
        let network = try source.network(weights, on: chooseDevice(device))
        let generator = SampleGenerator(
            network: network, path: source.state.configuration.diffusion.path, sampler: sampler, seed: seed)
        let progress = ProgressLine(stage: "sample", total: chosen.labels.count, imagesPerStep: 1)
        let images = try withErrors {
            generator.pixels(labels: chosen.labels, firstItem: 0) { progress.update(step: $0) }
        }
        progress.finish()
        try output.write(images, labels: chosen, classNames: source.state.classNames)
        print(output.path)
    }

    private func sampler() throws -> Sampler {
        guard let mode = Sampler.Mode(rawValue: mode) else {
            throw ConfigurationError("--mode \(mode): choose ode, heun or sde")
        }
        guard steps >= 1 else { throw ConfigurationError("--steps \(steps): give 1 or more") }
        guard cfg >= 1, cfg.isFinite else { throw ConfigurationError("--cfg \(cfg): give 1 (off) or more") }
        guard 0 <= guidanceLow, guidanceLow <= guidanceHigh, guidanceHigh <= 1 else {
            throw ConfigurationError(
                "--guidance-low \(guidanceLow) --guidance-high \(guidanceHigh): give 0 <= low <= high <= 1")
        }
        if let guidanceChannels, guidanceChannels < 1 {
            throw ConfigurationError("--guidance-channels \(guidanceChannels): give 1 or more")
        }
        let guidance = Guidance(scale: cfg, low: guidanceLow, high: guidanceHigh, channels: guidanceChannels)
        return Sampler(mode: mode, steps: steps, guidance: guidance)
    }
}
