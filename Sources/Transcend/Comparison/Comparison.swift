import Data
import Evaluation
import Formats
import Foundation

/// Trains and measures the variants of a comparison, one run after another, and keeps a page about them up to date.
///
/// Its folder holds ordinary runs (`seed-0/plain`), the page `compare.html`, its numbers `compare.json` and a plot
/// `distances.png`. Finished work is not repeated: there is no other state.
public final class Comparison {
    /// The outcome of a comparison.
    public enum Outcome: Sendable {
        /// Everything is trained and measured.
        case finished(ComparisonSummary)
        /// Stopped by a signal; the run in that folder has a checkpoint of this step.
        case interrupted(run: String, step: Int)
    }

    /// An event during the comparison, for messages and progress lines.
    public enum Event: Sendable {
        /// A run begins or is checked again: its number, the number of runs, its seed and variant.
        case run(number: Int, count: Int, seed: UInt64, variant: String)
        /// Samples or the reference are being measured.
        case measuring(CheckpointEvaluator.Progress)
        /// A warning.
        case warning(String)
    }

    /// The configuration of the comparison.
    public let configuration: ComparisonConfiguration
    /// The folder of the comparison.
    public let path: String
    private let runs: [ComparisonRun]
    private let measurement: ComparisonMeasurement
    /// The data of the seed that is being trained.
    private var opened: (seed: UInt64, dataset: any Dataset)

    /// Checks everything that could keep a run from being trained or measured, and writes nothing. Throws a
    /// `ConfigurationError` or a file's error.
    public init(_ configuration: ComparisonConfiguration, path: String) throws {
        (self.configuration, self.path) = (configuration, path)
        runs = try Self.runs(of: configuration, in: path)
        try Self.check(runs, in: path, of: configuration)
        let dataset = try TrainingData.open(runs[0].training)
        for run in runs where run.seed == runs[0].seed {
            _ = try TrainingTargets(run.training, of: dataset, on: run.training.chosenDevice)
        }
        opened = (runs[0].seed, dataset)
        measurement = try ComparisonMeasurement(configuration, of: dataset)
    }

    /// Does all remaining work; the page is written after each run that brought something new, and at the end.
    /// `observe` is called with each event.
    public func run(_ observe: @escaping (Event) -> Void) throws -> Outcome {
        var measured: [MeasuredRun] = []
        for (place, run) in runs.enumerated() {
            let isTrained = run.isTrained
            observe(.run(number: place + 1, count: runs.count, seed: run.seed, variant: run.variant))
            if !isTrained {
                let outcome = try Trainer(run.training, dataset: dataset(of: run), run: RunDirectory(run.path)).train()
                if case .interrupted(let step) = outcome { return .interrupted(run: run.path, step: step) }
            }
            let (result, isNew) = try measurement.measure(run, isShown: run.seed == runs[0].seed) {
                observe(.measuring($0))
            }
            measured.append(result)
            if place == 0 {
                for warning in result.results.last?.result.warnings ?? [] { observe(.warning(warning)) }
            }
            if !isTrained || isNew || place == runs.count - 1 {
                try write(ComparisonSummary(configuration, of: measured))
            }
        }
        return .finished(ComparisonSummary(configuration, of: measured))
    }

    /// The path of the page.
    public var pagePath: String { path + "/compare.html" }

    private func write(_ summary: ComparisonSummary) throws {
        for (file, text) in [
            ("compare.json", summary.json.text(.pretty) + "\n"), ("compare.html", ComparisonPage(summary).html),
        ] {
            try AtomicFile.write(text, to: path + "/" + file)
        }
        try ImageFile.writePNG(ComparisonCurves(summary).plot.render(), to: path + "/distances.png")
    }

    private func dataset(of run: ComparisonRun) throws -> any Dataset {
        if opened.seed != run.seed { opened = (run.seed, try TrainingData.open(run.training)) }
        return opened.dataset
    }

    // MARK: - Preparation

    /// All runs, seed by seed, each after its teacher's.
    private static func runs(of configuration: ComparisonConfiguration, in path: String) throws -> [ComparisonRun] {
        // The first variant follows none of the others; the common starting checkpoint is resolved here, for all of
        // them alike.
        let found = try configuration.training(of: configuration.order[0], seed: 0).resolvingCheckpoints()
        return try configuration.seeds.flatMap { seed in
            try configuration.order.map { index in
                let variant = configuration.variants[index]
                var training = configuration.training(of: index, seed: seed)
                if variant.teacher == nil { training = try training.resolvingCheckpoints() }
                (training.initialWeights, training.initialState) = (found.initialWeights, found.initialState)
                return ComparisonRun(
                    variant: variant.name, seed: seed, path: "\(path)/seed-\(seed)/\(variant.name)", training: training)
            }
        }
    }

    private static func check(
        _ runs: [ComparisonRun], in path: String, of configuration: ComparisonConfiguration
    ) throws {
        let files = FileManager.default
        let seeds = try? files.contentsOfDirectory(atPath: path).filter { $0.hasPrefix("seed-") }
        if files.fileExists(atPath: path) {
            guard let seeds, try !seeds.isEmpty || files.contentsOfDirectory(atPath: path).isEmpty else {
                throw FileError(path, "is neither empty nor a comparison", remedy: "give another --out")
            }
        }
        let expected = Set(runs.map(\.path))
        for seed in (seeds ?? []).sorted() {
            for name in ((try? files.contentsOfDirectory(atPath: "\(path)/\(seed)")) ?? []).sorted() {
                guard expected.contains("\(path)/\(seed)/\(name)") else {
                    throw ConfigurationError(
                        "\(path): it holds \(seed)/\(name), which is not in \(configuration.path); give another --out, or "
                            + "that seed and variant too")
                }
            }
        }
        // A different number of steps would change the learning rate schedule.
        for run in runs {
            try RunDirectory.check(run.training, continues: run.path) { $0 != "steps" && RunDirectory.isChangeable($0) }
        }
    }
}

/// One training run of a comparison.
struct ComparisonRun: Sendable {
    let variant: String
    let seed: UInt64
    /// The folder of the run, which is an ordinary one.
    let path: String
    let training: TrainingConfiguration

    /// Whether its last step is done.
    var isTrained: Bool { RunDirectory.checkpointSteps(in: path).last == training.steps }
}
