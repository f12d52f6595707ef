import Evaluation
import Formats
import Foundation

/// Draws samples from checkpoints and measures them, always in the same way. Results stay in the run's folder, in
/// `evaluations/step-0001000-1a2b3c4d.json`, and are not computed twice.
public final class CheckpointEvaluator {
    /// The progress of an evaluation, for a progress line.
    public struct Progress: Sendable {
        /// The stage: "reference", or "samples" of a step.
        public let stage: String
        /// The number of pictures measured so far.
        public let done: Int
        /// The total number of pictures.
        public let count: Int
    }

    private let extractor: any FeatureExtractor
    private let reference: EvaluationReference
    private let settings: SamplingSettings
    private let labels: [String]
    private let count: Int
    private let world: World
    private let note: ((_ warning: String) -> Void)?

    /// Creates an evaluator; `labels` and `count` are those of the samples, as in `SampleLabels`. `note` is called if a
    /// result cannot be stored; without it that error is thrown.
    public init(
        _ extractor: any FeatureExtractor, reference: EvaluationReference, settings: SamplingSettings,
        labels: [String], count: Int, world: World = .alone, note: ((_ warning: String) -> Void)? = nil
    ) {
        (self.extractor, self.reference, self.settings) = (extractor, reference, settings)
        (self.labels, self.count, self.world, self.note) = (labels, count, world, note)
    }

    /// The metrics of a checkpoint, from its run's folder if they are there. Throws a `ConfigurationError` if the
    /// settings do not fit it, and any file error. Of several ranks the first has the result.
    public func evaluate(
        _ checkpoint: Checkpoint, progress: (Progress) -> Void = { _ in }
    ) throws -> EvaluationResult? {
        let job = try SamplingJob(checkpoint, settings, labels: labels, count: count)
        let folder = RunDirectory.run(ofCheckpoint: checkpoint.path).map { $0 + "/" + Self.folder }
        let parts = [job.stamp.json.text(), extractor.identity, reference.name, try reference.content.get()]
        let record = folder.map { "\($0)/\(Self.recordName(step: checkpoint.state.step, of: parts)).json" }
        let kept = record.flatMap { try? JSONValue.read(path: $0) }.flatMap(EvaluationResult.init(json:))
        if try world.any(world.isFirst && kept != nil) { return world.isFirst ? kept : nil }
        let against = try reference.measure(in: world) { progress(Progress(stage: "reference", done: $0, count: $1)) }
        let pictures = GeneratedPictures(job, in: world, location: checkpoint.path)
        let samples = try MeasuredSet.measure(pictures, by: extractor, among: world) {
            progress(Progress(stage: "samples of step \(checkpoint.state.step)", done: $0, count: pictures.count))
        }
        guard let samples, let against else { return nil }
        // Precision and recall of many samples take minutes.
        var result = try world.readingOrWriting {
            try EvaluationResult(samples, from: checkpoint.path, reference: against, from: reference.name)
        }
        result.stamp = job.stamp.json
        if let folder, let record {
            do {
                try makeFolder(folder)
                try AtomicFile.write(result.json.text(.pretty) + "\n", to: record)
            } catch {
                guard let note else { throw error }
                note("warning: the result is not kept: \(error)")
            }
        }
        return result
    }

    /// The folder of results below a run's folder.
    static let folder = "evaluations"

    /// All results in a run's folder, in the order of their names, that is of their steps.
    public static func results(ofRun path: String) -> [EvaluationResult] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path + "/" + folder)) ?? []
        return names.filter { $0.hasPrefix("step-") && $0.hasSuffix(".json") }.sorted().compactMap { name in
            (try? JSONValue.read(path: "\(path)/\(folder)/\(name)")).flatMap(EvaluationResult.init(json:))
        }
    }

    /// The name of a result of a step's checkpoint; its last eight digits are a hash of how it was made: how samples
    /// were drawn, by which extractor and against which reference they were measured.
    static func recordName(step: Int, of parts: [String]) -> String {
        CheckpointName.of(step: step) + "-" + Checksum(of: parts.joined(separator: "\n")).text.suffix(8)
    }
}
