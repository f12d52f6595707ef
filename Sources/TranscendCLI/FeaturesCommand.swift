import ArgumentParser
import Data
import Diffusion
import Formats
import Foundation
import Torch
import Transcend

/// The network and images of the commands that look into networks.
struct LookingOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("A checkpoint, or a run: its newest.", valueName: "checkpoint"))
    var checkpoint: String
    @Option(
        help: ArgumentHelp("Images or a store like those of the run. (default: the data of the run)", valueName: "path")
    )
    var data: String?
    @Option(parsing: .upToNextOption, help: ArgumentHelp("Blocks, from 1. (default: all)", valueName: "n"))
    var blocks: [Int] = []
    @Option(help: ArgumentHelp("Averaged or raw.", valueName: "name"))
    var weights = NetworkWeights.ema
    @Option(help: ArgumentHelp("auto, cpu, cuda or cuda:N.", valueName: "name"))
    var device = "auto"

    func open() throws -> (Checkpoint, NoisedImages, Device) {
        if let problem = deviceProblem(device) { throw ConfigurationError("--device: \(problem)") }
        let device = chooseDevice(device)
        let opened = try Checkpoint(absolute(checkpoint))
        return (opened, try NoisedImages(opened, data: data.map(absolute), on: device), device)
    }

    /// The path of a result: `out` if given, otherwise in a folder of the checkpoint's run.
    func target(_ out: String?, folder: String, name: String, for checkpoint: Checkpoint) throws -> String {
        if let out {
            guard out.hasSuffix(".png") else { throw ConfigurationError("--out \(out): give the name of a .png file") }
            return try absolute(out)
        }
        guard let run = RunDirectory.run(ofCheckpoint: checkpoint.path) else {
            throw ConfigurationError("--out: give it; the checkpoint \(checkpoint.path) is not in a run")
        }
        try makeFolder("\(run)/\(folder)")
        return "\(run)/\(folder)/\(name).png"
    }
}

struct FeaturesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "features",
        abstract: "Show what a network's blocks make of images, as maps of principal components.",
        usage: "transcend features <checkpoint> [--images <n> ...] [--times <t> ...] [<options>]",
        discussion: """
            Rows are images, columns blocks; one principal basis colours the whole sheet. The sheet goes into the \
            run's folder features, and from there into its report.
            """)

    @OptionGroup var looking: LookingOptions
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Images, by their numbers in the data. (default: 4 of different classes)", valueName: "n"))
    var images: [Int] = []
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Times t, 0 (clean) to 1 (noise); several make more rows. (default: 0.5)", valueName: "t"))
    var times: [Double] = []
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Of which labels; several make more rows. (default: conditional)", valueName: "name"))
    var kinds: [BlockFeatures] = []
    @Option(help: ArgumentHelp("w of the guided features.", valueName: "w"))
    var scale = 30.0
    @Flag(help: "A row for each of up to 8 checkpoints of the run.")
    var byStep = false
    @Flag(help: "Do not subtract the mean over images at each place.")
    var keepPositions = false
    @Option(help: ArgumentHelp("The sheet, NAME.png. (default: in the run)", valueName: "file"))
    var out: String?

    func run() throws {
        var settings = FeatureSheet.Settings()
        if !images.isEmpty { settings.images = images }
        if !times.isEmpty { settings.times = times }
        if !kinds.isEmpty { settings.kinds = kinds }
        let (checkpoint, source, device) = try looking.open()
        (settings.blocks, settings.scale, settings.weights) = (looking.blocks, scale, looking.weights)
        settings.keepsPositions = keepPositions
        let state = checkpoint.state
        let decoder = try PictureDecoder(
            channels: state.configuration.network.channels, latents: state.latents,
            autoencoder: state.configuration.preview.autoencoder, on: device)
        var sheet = try FeatureSheet(settings, of: checkpoint, source: source, decoder: decoder)
        let name = URL(fileURLWithPath: checkpoint.path).lastPathComponent
        let target = try looking.target(out, folder: "features", name: byStep ? "by-step" : name, for: checkpoint)
        let all = RunDirectory.checkpoints(besides: checkpoint.path)
        let rows = min(8, all.count)
        let shown =
            byStep ? try (0..<rows).map { try Checkpoint(all[($0 + 1) * all.count / rows - 1]) } : [checkpoint]
        for one in shown { try sheet.add(one, isNamed: byStep, on: device) }
        try ImageFile.writePNG(sheet.render(), to: target)
        print(target)
    }
}

struct ProbeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "probe",
        abstract: "Measure what of the classes can be read from a network's blocks, by block and time.",
        usage: "transcend probe <checkpoint> [--times <t> ...] [--count <n>] [--json]",
        discussion: """
            A linear classifier is fitted to the mean of each block's tokens, of four fifths of the images, and held \
            against the others. The network is not told the label. Plot and numbers go into the run's folder probes.
            """)

    @OptionGroup var looking: LookingOptions
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Times t, 0 (clean) to 1 (noise). (default: 0.1 0.3 0.5 0.7 0.9)", valueName: "t"))
    var times: [Double] = []
    @Option(help: ArgumentHelp("Images, fitted and held out together.", valueName: "n"))
    var count = 5_000
    @Option(
        help: ArgumentHelp("The plot, NAME.png, with NAME.json beside it. (default: in the run)", valueName: "file"))
    var out: String?
    @Flag(help: "Print one line of JSON.")
    var json = false

    func run() throws {
        let (checkpoint, source, device) = try looking.open()
        let name = URL(fileURLWithPath: checkpoint.path).lastPathComponent
        let target = try looking.target(out, folder: "probes", name: name, for: checkpoint)
        let progress = MeasuringProgress()
        let report = try ProbeReport(
            checkpoint, weights: looking.weights, source: source, blocks: looking.blocks,
            times: times.isEmpty ? [0.1, 0.3, 0.5, 0.7, 0.9] : times, count: count, on: device
        ) { progress.update("features", done: $0, count: $1) }
        progress.finish()
        let title = "\(checkpoint.state.configuration.method.name), step \(checkpoint.state.step)"
        try ImageFile.writePNG(report.plot(title: title).render(), to: target)
        let text = report.json.text() + "\n"
        try AtomicFile.write(text, to: target.dropLast(4) + ".json")
        if json { print(report.json.text()) } else { print("\(report.table)\n\(target)") }
    }
}
