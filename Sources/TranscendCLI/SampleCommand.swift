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

    @Option(help: ArgumentHelp("A checkpoint, or a run: its newest.", valueName: "path"))
    var checkpoint: String
    @Option(
        help: ArgumentHelp("A grid (NAME.png), an array (NAME.npz), or a folder for single PNGs.", valueName: "path"))
    var out: String
    @Option(
        help: ArgumentHelp(
            "Folder or file of the autoencoder that decodes latents. (default: that of the run)", valueName: "path"))
    var autoencoder: String?
    @Option(help: ArgumentHelp("Number of samples. (default: 8 of each label)", valueName: "n"))
    var count: Int?
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Classes by number or name, or 'random'. (default: all)", valueName: "class"))
    var labels: [String] = []
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

    func run() throws {
        if let problem = deviceProblem(device) { throw ConfigurationError("--device: \(problem)") }
        let (sampler, precision) = (try sampler(), try parsePrecision(precision))
        guard let weights = NetworkWeights(rawValue: weights) else {
            throw ConfigurationError("--weights \(weights): choose ema or raw")
        }
        let source = try Checkpoint(absolute(checkpoint))
        let classNames = source.state.classNames
        let chosen = try SampleLabels(labels, count: count, classNames: classNames, seed: seed)
        let device = chooseDevice(device)
        let settings = source.state.configuration
        if let guidanceChannels, guidanceChannels > settings.network.channels {
            throw ConfigurationError(
                "--guidance-channels \(guidanceChannels): the network has \(settings.network.channels) channels")
        }
        let decoder = try PictureDecoder(
            channels: settings.network.channels, latents: source.state.latents,
            autoencoder: autoencoder.map(absolute) ?? settings.preview.autoencoder, on: device)
        if let warning = decoder.warning { say("warning: \(warning)") }
        let output = try SampleOutput(path: absolute(out))
        let generator = SampleGenerator(
            network: try source.network(weights, on: device), path: settings.diffusion.path, sampler: sampler,
            seed: seed)
        let progress = ProgressLine(stage: "sample", total: chosen.labels.count, imagesPerStep: 1)
        var done = 0
        try Precision.$current.withValue(precision) {
            try generator.pictures(labels: chosen.labels, decoder: decoder) { images in
                try output.append(images)
                done += images.count
                progress.update(step: done)
            }
        }
        try output.finish(chosen, classNames: classNames)
        progress.finish()
        print(output.path)
    }

    private func sampler() throws -> Sampler {
        guard let mode = Sampler.Mode(rawValue: mode) else {
            throw ConfigurationError("--mode \(mode): choose ode, heun or sde")
        }
        let guidance = Guidance(scale: cfg, low: guidanceLow, high: guidanceHigh, channels: guidanceChannels)
        let sampler = Sampler(mode: mode, steps: steps, guidance: guidance)
        if let problem = sampler.problem { throw ConfigurationError(problem) }
        return sampler
    }
}
