import Data
import Foundation

/// Times a full training run and the bare steps of the same configuration, in turn.
public struct TrainingBenchmark {
    private let configuration: TrainingConfiguration
    private let warmup: Int

    /// Creates a benchmark of all steps of `configuration`, of which the first `warmup` are not timed; there must be
    /// more than those.
    public init(_ configuration: TrainingConfiguration, warmup: Int) {
        (self.configuration, self.warmup) = (configuration, warmup)
    }

    /// The measurements.
    public struct Result: Sendable {
        /// The seconds per training step: the time from the end of warm-up until the last checkpoint is written,
        /// divided by the number of steps.
        public let trainingSeconds: Double
        /// The seconds per bare step: the mean of those measured before and after the training run.
        public let stepSeconds: Double
    }

    /// Trains in a temporary folder, which is removed. Throws any error that stops the training run.
    public func run() throws -> Result {
        let before = try bareStepSeconds()
        let (training, after) = (try trainingSeconds(), try bareStepSeconds())
        return Result(trainingSeconds: training, stepSeconds: (before + after) / 2)
    }

    private func trainingSeconds() throws -> Double {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("transcend-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let dataset = try TrainingData.open(configuration)
        let trainer = try Trainer(configuration, dataset: dataset, run: RunDirectory(folder.path))
        var start = 0.0
        _ = try trainer.train { step in
            if step == warmup { start = ProgressLine.monotonicSeconds() }
        }
        return (ProgressLine.monotonicSeconds() - start) / Double(configuration.steps - warmup)
    }

    private func bareStepSeconds() throws -> Double {
        let seconds = try StepBenchmark(configuration, steps: max(5, warmup / 2), warmup: max(2, warmup / 4)).run()
            .stepSeconds
        return seconds.reduce(0, +) / Double(seconds.count)
    }
}
