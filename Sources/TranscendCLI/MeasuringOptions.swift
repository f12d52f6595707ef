import ArgumentParser
import Evaluation
import Foundation
import Transcend

/// The extractor and reference of the commands that measure samples.
struct MeasuringOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("What they are measured against. (default: the data of the run)", valueName: "path"))
    var reference: String?
    @Option(
        help: ArgumentHelp(
            "Weights of Inception, or TorchScript: bytes [N, 3, H, W] to features [N, D] or (features, logits). (default: \(InceptionExtractor.fileName) in the cache folder)",
            valueName: "file"))
    var extractor: String?
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Of samples that are drawn: classes by number or name, 'random', or 'balanced': each in turn. (default: random)",
            valueName: "class"))
    var labels: [String] = []

    /// Opens the feature extractor on a named device.
    func openNetwork(on device: String) throws -> any FeatureExtractor {
        try openExtractor(path: extractor.map(absolute) ?? Self.inceptionPath, on: chooseDevice(device))
    }

    /// The reference of a checkpoint.
    func reference(for checkpoint: Checkpoint, by network: any FeatureExtractor) throws -> EvaluationReference {
        if let reference { return EvaluationReference(path: try absolute(reference), extractor: network) }
        return EvaluationReference(trainingDataOf: checkpoint, extractor: network)
    }

    var chosenLabels: [String] { labels.isEmpty ? ["random"] : labels }

    /// The default path of Inception's weights.
    private static var inceptionPath: String {
        let environment = ProcessInfo.processInfo.environment
        let cache = environment["XDG_CACHE_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil }
        return (cache ?? NSHomeDirectory() + "/.cache") + "/transcend/" + InceptionExtractor.fileName
    }
}

/// The progress of one set of pictures after another.
final class MeasuringProgress {
    private let isShown: Bool
    private var line: (stage: String, progress: ProgressLine)?

    /// Creates progress; of several processes only one shows it.
    init(isShown: Bool = true) { self.isShown = isShown }

    func update(_ stage: String, done: Int, count: Int) {
        guard isShown else { return }
        if line?.stage != stage {
            finish()
            line = (stage, ProgressLine(stage: stage, total: count, imagesPerStep: 1))
        }
        line?.progress.update(step: done)
    }

    func update(_ progress: CheckpointEvaluator.Progress) {
        update(progress.stage, done: progress.done, count: progress.count)
    }

    func finish() {
        line?.progress.finish()
        line = nil
    }
}
