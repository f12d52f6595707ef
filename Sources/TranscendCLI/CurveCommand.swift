import ArgumentParser
import Data
import Evaluation
import Formats
import Foundation
import Transcend

struct CurveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "curve",
        abstract: "Evaluate the checkpoints of runs and plot their numbers by step, together.",
        usage: "transcend curve <run> ... --out <file> [--reference <path>] [--extractor <file>] [<options>]",
        discussion: """
            Each checkpoint is sampled and measured as evaluate does it. The results stay in the runs' folders, so that \
            the same command goes on where it was stopped and adds only what is new.
            """)

    @Argument(help: ArgumentHelp("Folders of runs or pipelines.", valueName: "run"))
    var runs: [String]
    @Option(help: ArgumentHelp("The plot, NAME.png.", valueName: "file"))
    var out: String
    @Option(
        help: ArgumentHelp("Only checkpoints at multiples of n steps, and the last.", valueName: "n"))
    var every = 1
    @OptionGroup var measuring: MeasuringOptions
    @Option(help: ArgumentHelp("Samples that are drawn from each checkpoint.", valueName: "n"))
    var count = 1_000
    @OptionGroup(title: "Options for samples") var sampling: SamplingOptions
    @Flag(help: "Print a line of JSON for each checkpoint.")
    var json = false
    @OptionGroup var ranks: RankOptions

    func run() throws { try ranks.join(device: sampling.device, evaluate) }

    private func evaluate(in world: World) throws {
        guard out.hasSuffix(".png") else { throw ConfigurationError("--out \(out): give the name of a .png file") }
        guard every > 0 else { throw ConfigurationError("--every \(every): give 1 or more") }
        let target = try absolute(out)
        if world.isFirst { try AtomicFile.check(target) }
        var curve = try EvaluationCurve(runs.map(absolute))
        var settings = try sampling.settings()
        settings.device = try world.deviceName(settings.device)
        let network = try measuring.openNetwork(on: settings.device)
        let checkpoints = try curve.runs.indices.map { run in
            try curve.checkpoints(of: run, every: every).map { try Checkpoint($0) }
        }
        if measuring.reference == nil { try Self.checkData(of: checkpoints.map { $0[0] }) }
        let evaluator = CheckpointEvaluator(
            network, reference: try measuring.reference(for: checkpoints[0][0], by: network), settings: settings,
            labels: measuring.chosenLabels, count: count, world: world, note: say)
        let progress = MeasuringProgress(isShown: world.isFirst)
        var last: EvaluationResult?
        for (run, all) in checkpoints.enumerated() {
            for checkpoint in all {
                guard let result = try evaluator.evaluate(checkpoint, progress: progress.update) else { continue }
                curve.append(result, step: checkpoint.state.step, run: run)
                last = result
                if json { print(result.json.text()) }
            }
        }
        progress.finish()
        guard world.isFirst else { return }
        // The warnings apply to all results, which have the same number of samples.
        for warning in last?.warnings ?? [] { say("warning: \(warning)") }
        let subtitle = "\(count) samples of each, \(network.identity)"
        try ImageFile.writePNG(curve.plot(subtitle: subtitle).render(), to: target)
        if !json { print(curve.table) }
        print(target)
    }

    /// Throws if runs have different data: metrics against different images must not be put into one plot.
    private static func checkData(of checkpoints: [Checkpoint]) throws {
        func data(_ checkpoint: Checkpoint) -> (String, Int) {
            let c = checkpoint.state.configuration
            return (c.data.source, c.network.inputSize)
        }
        guard let other = checkpoints.first(where: { data($0) != data(checkpoints[0]) }) else { return }
        throw ConfigurationError(
            "\(other.path): it was trained on \(data(other).0), \(checkpoints[0].path) on \(data(checkpoints[0]).0), or at "
                + "another size; give the --reference against which all are measured")
    }
}
