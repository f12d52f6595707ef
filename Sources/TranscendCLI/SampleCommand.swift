import ArgumentParser
import Foundation
import Transcend

struct SampleCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sample",
        abstract: "Draw samples from a checkpoint.",
        usage: "transcend sample --checkpoint <path> --out <path> ... [<options>]",
        discussion: """
            Sample i depends on the seed, i and its label alone. The same command continues an array or a folder that \
            was left unfinished. Beside them a stamp says how they were drawn: NAME.json, or protocol.json in the \
            folder.
            """)

    @Option(help: ArgumentHelp("A checkpoint, or a run: its newest.", valueName: "path"))
    var checkpoint: String
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "A grid (NAME.png), an array (NAME.npz), or a folder for single PNGs; one or several.", valueName: "path"))
    var out: [String]
    @Option(help: ArgumentHelp("Number of samples. (default: 8 of each label)", valueName: "n"))
    var count: Int?
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Classes by number or name, 'random', or 'balanced': each in turn. (default: all)", valueName: "class"))
    var labels: [String] = []
    @OptionGroup var options: SamplingOptions
    @OptionGroup var ranks: RankOptions

    func run() throws { try ranks.join(device: options.device, draw) }

    private func draw(in world: World) throws {
        var settings = try options.settings()
        settings.device = try world.deviceName(settings.device)
        let job = try SamplingJob(Checkpoint(absolute(checkpoint)), settings, labels: labels, count: count)
        guard world.isFirst else { return try job.draw(to: [], in: world) }
        if let warning = job.warning { say("warning: \(warning)") }
        let outputs = try out.map { try SampleOutput(path: absolute($0), of: job) }
        let progress = ProgressLine(stage: "sample", total: job.stamp.samples, imagesPerStep: 1)
        try job.draw(to: outputs, in: world) { progress.update(step: $0) }
        progress.finish()
        for output in outputs { print(output.path) }
    }
}
