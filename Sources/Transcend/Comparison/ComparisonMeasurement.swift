import Data
import Evaluation
import Formats
import Foundation

/// The measurements of a trained run.
struct MeasuredRun: Sendable {
    let run: ComparisonRun
    /// The results by step, in order.
    let results: [(step: Int, result: EvaluationResult)]
    /// The linear probes of the last step; nil if none were requested.
    let probes: ProbeReport?
    /// The file of a row of samples, and their classes; nil if none are shown.
    let samples: (file: String, classes: [String])?
    /// The median seconds per step in its metrics; nil if they contain no speed.
    let stepSeconds: Double?

    /// The value of a metric at the last step.
    func last(_ metric: String) -> Double? { results.last?.result[metric] }
}

/// Measures all runs of a comparison in the same way. Results stay in the runs' folders.
final class ComparisonMeasurement {
    private let evaluation: ComparisonEvaluation
    private let extractor: any FeatureExtractor
    private let settings: SamplingSettings
    /// The reference for the data of one seed (the embedded pictures differ by seed), or from a path for all.
    private var reference: (seed: UInt64?, reference: EvaluationReference)?

    /// The maximum number of samples shown of a variant.
    private static let shown = 20

    /// Opens everything needed to measure runs on a data set, so that no training is wasted. Throws any problem.
    init(_ configuration: ComparisonConfiguration, of dataset: any Dataset) throws {
        let (evaluation, training) = (configuration.evaluation, configuration.variants[0].configuration)
        self.evaluation = evaluation
        settings = evaluation.sampling(on: training.device)
        extractor = try openExtractor(path: evaluation.extractor, on: chooseDevice(training.device))
        if let path = evaluation.reference {
            if try !StatisticsFile.isOne(path) { _ = try openPictures(path: path) }
            reference = (nil, EvaluationReference(path: path, extractor: extractor))
        } else if dataset.latents != nil {
            throw ConfigurationError(
                "\(configuration.path): evaluation.reference: give the images of which \(training.data.source) are latents"
            )
        }
        if dataset.latents != nil, training.preview.autoencoder == nil {
            throw ConfigurationError(
                "\(configuration.path): base.preview.autoencoder: give the one of which \(training.data.source) are latents"
            )
        }
        _ = try PictureDecoder(
            channels: training.network.channels, latents: dataset.latents, autoencoder: training.preview.autoencoder,
            on: chooseDevice(training.device))
        do {
            _ = try SampleLabels(
                evaluation.labels, count: evaluation.count, classNames: dataset.classNames, seed: settings.seed)
        } catch let error as ConfigurationError {
            throw ConfigurationError(
                "\(configuration.path): evaluation.labels:\(error.description.trimmingPrefix("--labels"))")
        }
    }

    /// Makes the missing measurements of a run, and returns whether there were any.
    func measure(
        _ run: ComparisonRun, isShown: Bool, progress: (CheckpointEvaluator.Progress) -> Void
    ) throws -> (measured: MeasuredRun, isNew: Bool) {
        let curve = try EvaluationCurve([run.path])
        let checkpoints = try curve.checkpoints(of: 0, every: evaluation.every).map { try Checkpoint($0) }
        guard let last = checkpoints.last else { throw FileError(run.path, "holds no checkpoint") }
        let evaluator = CheckpointEvaluator(
            extractor, reference: reference(for: last, seed: run.seed), settings: settings,
            labels: evaluation.labels, count: evaluation.count)
        var isNew = false
        let results = try checkpoints.compactMap { checkpoint in
            try evaluator.evaluate(checkpoint) { event in
                isNew = true
                progress(event)
            }.map { (checkpoint.state.step, $0) }
        }
        let probes = try evaluation.probes.map { try self.probes($0, of: last, isNew: &isNew, progress) }
        let samples = try isShown ? self.samples(of: last, isNew: &isNew) : nil
        let measured = MeasuredRun(
            run: run, results: results, probes: probes, samples: samples, stepSeconds: try Self.stepSeconds(of: run))
        return (measured, isNew)
    }

    private func reference(for checkpoint: Checkpoint, seed: UInt64) -> EvaluationReference {
        if let reference, reference.seed == nil || reference.seed == seed { return reference.reference }
        let own = EvaluationReference(trainingDataOf: checkpoint, extractor: extractor)
        reference = (seed, own)
        return own
    }

    private func probes(
        _ probes: ComparisonEvaluation.Probes, of checkpoint: Checkpoint, isNew: inout Bool,
        _ progress: (CheckpointEvaluator.Progress) -> Void
    ) throws -> ProbeReport {
        let parts = [checkpoint.checksum(of: settings.weights), "\(probes.count)", "\(probes.times)"]
        let record = try record(of: checkpoint, in: "probes", parts) + ".json"
        if let kept = (try? JSONValue.read(path: record)).flatMap(ProbeReport.init(json:)) { return kept }
        isNew = true
        let device = chooseDevice(settings.device)
        let report = try ProbeReport(
            checkpoint, weights: settings.weights, source: NoisedImages(checkpoint, data: nil, on: device), blocks: [],
            times: probes.times, count: probes.count, on: device
        ) { progress(CheckpointEvaluator.Progress(stage: "linear probes", done: $0, count: $1)) }
        try AtomicFile.write(report.json.text() + "\n", to: record)
        return report
    }

    /// A row of samples, two per class if there is room: the noise at each position is the same for every variant.
    private func samples(
        of checkpoint: Checkpoint, isNew: inout Bool
    ) throws -> (file: String, classes: [String]) {
        let names = checkpoint.state.classNames
        let job = try SamplingJob(
            checkpoint, settings, labels: ["balanced"], count: min(Self.shown, 2 * names.count))
        let record = try record(of: checkpoint, in: CheckpointEvaluator.folder, [job.stamp.json.text()]) + ".png"
        let classes = Array(names.prefix(Self.shown))
        if FileManager.default.fileExists(atPath: record) { return (record, classes) }
        isNew = true
        var images: [RGBImage] = []
        try job.draw { images += $0 }
        var grid = ImageGrid(images, columns: images.count)
        grid.minimumCell = 56
        try ImageFile.writePNG(grid.render(), to: record)
        return (record, classes)
    }

    private func record(of checkpoint: Checkpoint, in folder: String, _ parts: [String]) throws -> String {
        let run = RunDirectory.run(ofCheckpoint: checkpoint.path) ?? checkpoint.path
        try makeFolder("\(run)/\(folder)")
        return "\(run)/\(folder)/\(CheckpointEvaluator.recordName(step: checkpoint.state.step, of: parts))"
    }

    /// The median, which pauses, previews and checkpoints do not affect.
    private static func stepSeconds(of run: ComparisonRun) throws -> Double? {
        let speeds = try MetricsLog.read(path: run.path + "/metrics.jsonl").compactMap {
            $0.values["imagesPerSecond"]
        }.filter { $0 > 0 && $0.isFinite }.sorted()
        return speeds.isEmpty ? nil : Double(run.training.batch) / speeds[speeds.count / 2]
    }
}
