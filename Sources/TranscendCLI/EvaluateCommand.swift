import ArgumentParser
import Evaluation
import Formats
import Foundation
import Transcend

struct EvaluateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate",
        abstract: "Measure samples against a reference: Fréchet distance, Inception Score, precision, recall.",
        usage: """
            transcend evaluate --samples <path> --reference <path> [--extractor <file>] [--json]
            transcend evaluate --samples <checkpoint> [--reference <path>] [--count <n>] [<options>]
            transcend evaluate --make-reference <file> --samples <path> [--extractor <file>]
            """,
        discussion: """
            Samples and reference are a .npz file (arr_0: uint8 [N, H, W, 3]), a store of pixels, or a folder, ZIP or \
            tar of images; the reference may also be a .npz file with mu and sigma, as --make-reference and ADM write \
            them. Of a checkpoint or a run, samples are drawn first, and the result stays in the run's folder \
            evaluations. With the Inception network of 2015 the distances are FID and sFID. A TorchScript module is \
            executed: name only files that you trust.
            """)

    @Option(
        help: ArgumentHelp("The pictures that are measured, or a checkpoint or run that draws them.", valueName: "path")
    )
    var samples: String
    @OptionGroup var measuring: MeasuringOptions
    @Option(help: ArgumentHelp("Samples to draw from a checkpoint. (default: 10000)", valueName: "n"))
    var count: Int?
    @OptionGroup(title: "Options for samples that are drawn") var sampling: SamplingOptions
    @Option(help: ArgumentHelp("Write the samples' statistics to NAME.npz.", valueName: "file"))
    var makeReference: String?
    @Flag(help: "Print one line of JSON.")
    var json = false
    @Flag(help: "Print one line of the most important numbers.")
    var brief = false
    @OptionGroup var ranks: RankOptions

    func run() throws { try ranks.join(device: sampling.device, evaluate) }

    private func evaluate(in world: World) throws {
        let path = try absolute(samples)
        var settings = try sampling.settings()
        settings.device = try world.deviceName(settings.device)
        let isDrawn = Checkpoint.exists(at: path)
        if !isDrawn, let flag = try givenForDrawing {
            throw ConfigurationError(
                "\(flag): it is for samples that are drawn, and \(samples) is neither checkpoint nor run; omit it")
        }
        if let makeReference {
            guard measuring.reference == nil, !isDrawn else {
                throw ConfigurationError("--make-reference: it is made of pictures, without --reference")
            }
            return try writeReference(of: path, to: makeReference, on: settings.device, in: world)
        }
        let progress = MeasuringProgress(isShown: world.isFirst)
        let result: EvaluationResult?
        if isDrawn {
            let checkpoint = try Checkpoint(path)
            let network = try measuring.openNetwork(on: settings.device)
            let evaluator = CheckpointEvaluator(
                network, reference: try measuring.reference(for: checkpoint, by: network), settings: settings,
                labels: measuring.chosenLabels, count: count ?? 10_000, world: world, note: say)
            result = try evaluator.evaluate(checkpoint, progress: progress.update)
        } else {
            guard let reference = measuring.reference else {
                throw ConfigurationError(
                    "--reference: give what they are measured against, or --make-reference to make such a file of them")
            }
            let network = try measuring.openNetwork(on: settings.device)
            let pictures = try openPictures(path: path)
            let against = try EvaluationReference(path: absolute(reference), extractor: network)
                .measure(in: world) { progress.update("reference", done: $0, count: $1) }
            let measured = try MeasuredSet.measure(pictures, by: network, among: world) {
                progress.update("samples", done: $0, count: pictures.count)
            }
            guard let measured, let against else { return }
            var own = try EvaluationResult(measured, from: samples, reference: against, from: reference)
            own.stamp = SampleStamp.read(ofSamples: path)?.json
            result = own
        }
        progress.finish()
        guard let result else { return }
        for warning in result.warnings { say("warning: \(warning)") }
        print(json ? result.json.text() : brief ? line(result) : table(result).description)
    }

    /// A flag that was given and says how samples are drawn.
    private var givenForDrawing: String? {
        get throws {
            try (count != nil ? "--count" : measuring.labels.isEmpty ? nil : "--labels") ?? sampling.given
        }
    }

    private func writeReference(of path: String, to file: String, on device: String, in world: World) throws {
        guard file.hasSuffix(".npz") else {
            throw ConfigurationError("--make-reference \(file): give the name of a .npz file")
        }
        let network = try measuring.openNetwork(on: device)
        let pictures = try openPictures(path: path)
        let progress = MeasuringProgress(isShown: world.isFirst)
        let measured = try MeasuredSet.measure(pictures, by: network, among: world) {
            progress.update("features", done: $0, count: pictures.count)
        }
        progress.finish()
        guard let measured else { return }
        let target = try absolute(file)
        try StatisticsFile.write(measured, of: pictures, to: target)
        print(target)
    }

    private func line(_ result: EvaluationResult) -> String {
        var parts = ["frechet_distance", "precision", "recall"].compactMap { name in
            result[name].map { EvaluationResult.title(of: name) + String(format: " %.3f", $0) }
        }
        if let recognised = result.recognised {
            parts.append(
                "\(recognised.classes) of \(recognised.of) classes recognised in \(share) or more of their samples")
        }
        return parts.joined(separator: ", ") + " (\(result.sampleCount) samples, \(result.extractor))"
    }

    private var share: String { "\(Int((100 * RecognisedClasses.share).rounded())) %" }

    private func table(_ result: EvaluationResult) -> Table {
        var table = Table(.text(""), .text(""))
        for (name, value) in result.values {
            table.append(EvaluationResult.title(of: name), String(format: "%.4f", value))
        }
        if let recognised = result.recognised {
            table.append(
                "classes recognised",
                "\(recognised.classes) of \(recognised.of), in \(share) or more of their samples")
        }
        table.append("extractor", result.extractor)
        table.append("samples", "\(result.sampleCount) of \(result.samples)")
        table.append("reference", (result.referenceCount.map { "\($0) of " } ?? "") + result.reference)
        if let stamp = result.stamp { table.append("protocol", stamp.text()) }
        return table
    }
}
