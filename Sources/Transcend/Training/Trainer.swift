import Data
import Diffusion
import Formats
import Foundation
import Models
import Torch

/// Trains one stage in one run directory, from its newest checkpoint on.
public final class Trainer {
    private let configuration: TrainingConfiguration
    private let dataset: any Dataset
    private let run: RunDirectory
    private let device: Device
    private let state: TrainingState
    private let preview: Preview

    /// Builds network, objective and optimiser, and continues the run's newest checkpoint if there is one.
    public init(
        _ configuration: TrainingConfiguration, dataset: any Dataset, run: RunDirectory
    ) throws {
        let device = configuration.chosenDevice
        (self.configuration, self.dataset, self.run, self.device) = (configuration, dataset, run, device)
        state = try withErrors { try Self.makeState(configuration, run: run, on: device) }
        preview = Preview(configuration, classNames: dataset.classNames, on: device)
        try run.check(configuration)
        if let newest = try RunDirectory.newestCheckpoint(in: run.path).map(Checkpoint.init) {
            try checkContinuity(of: newest)
            try newest.restore(state)
        } else if let path = configuration.initialWeights {
            try loadInitialWeights(Checkpoint(path))
        }
        try run.store(configuration)
        try MetricsLog.cutBack(path: run.metricsPath, toStep: state.step - 1)
    }

    /// How a call of `train` ended.
    public enum Outcome: Sendable {
        case finished
        /// A signal asked for it; a checkpoint was written at this step.
        case interrupted(step: Int)
    }

    /// Trains to the configuration's last step, in its precision.
    public func train() throws -> Outcome {
        try Precision.$current.withValue(configuration.precision, operation: trainToTheEnd)
    }

    /// Draw, losses, backward, step, average, report, checkpoint.
    private func trainToTheEnd() throws -> Outcome {
        guard state.step < configuration.steps else { return .finished }
        let loader = makeLoader()
        defer { loader.stop() }
        let metrics = try MetricsLog(path: run.metricsPath)
        let progress = ProgressLine(
            stage: configuration.method.name, total: configuration.steps, imagesPerStep: configuration.batch)
        defer { progress.finish() }
        var curves = CurveWriter(
            path: run.curvesPath, metrics: run.metricsPath, title: configuration.method.name,
            steps: configuration.steps)
        var meter = RateMeter()
        let start = ProgressLine.monotonicSeconds()

        while state.step < configuration.steps {
            let isLogged =
                state.step % configuration.output.logEvery == 0 || state.step + 1 == configuration.steps
            let loaded = try loader.next()
            let report = try withErrors {
                try state.update(
                    microBatches(of: loaded),
                    learningRate: configuration.schedule.learningRate(at: state.step, of: configuration.steps),
                    measuringFeatures: isLogged)
            }
            meter.record(step: state.step, seconds: ProgressLine.monotonicSeconds() - start)
            progress.update(step: state.step, values: report.headline)
            if isLogged {
                let speed = meter.stepsPerSecond.map { $0 * Double(configuration.batch) }
                try metrics.append(
                    step: report.step, stage: configuration.method.name, values: report.values(imagesPerSecond: speed))
            }
            if isDue(configuration.output.sampleEvery) {
                try preview.write(state, to: run.samplesPath(step: state.step))
            }
            try curves.update(isLast: state.step == configuration.steps || Interruption.isRequested)
            if isDue(configuration.output.checkpointEvery) || Interruption.isRequested {
                try metrics.synchronize()
                try writeCheckpoint()
            }
            if Interruption.isRequested { return .interrupted(step: state.step) }
        }
        return .finished
    }

    /// Whether something that happens every so many steps happens now; it always does at the end, unless it is off.
    private func isDue(_ every: Int) -> Bool {
        every > 0 && (state.step % every == 0 || state.step == configuration.steps)
    }

    // MARK: - Beginning

    private static func makeState(
        _ c: TrainingConfiguration, run: RunDirectory, on device: Device
    ) throws -> TrainingState {
        let method = c.method.method
        let network = SiT(c.network, on: device)
        network.initialise(stage: c.method.name, seed: c.seed)
        let objective = method.objective(for: c.network, teacher: try loadTeacher(c, run: run, on: device), on: device)
        objective.initialise(stage: c.method.name, seed: c.seed)
        return TrainingState(network: network, objective: objective, path: c.diffusion.path, configuration: c.optimizer)
    }

    /// The network that the method follows; a relative path is relative to the run's folder.
    private static func loadTeacher(_ c: TrainingConfiguration, run: RunDirectory, on device: Device) throws -> SiT? {
        guard let path = c.teacher, let weights = c.method.method.followedWeights else { return nil }
        let checkpoint = try Checkpoint(path.hasPrefix("/") ? path : run.path + "/" + path)
        if let misfit = c.network.misfit(of: checkpoint.state.configuration.network) {
            throw ConfigurationError("the teacher \(checkpoint.path): \(misfit)")
        }
        return try checkpoint.network(weights, on: device)
    }

    private func loadInitialWeights(_ checkpoint: Checkpoint) throws {
        let network = try checkpoint.network(.raw, on: device)
        for (mine, other) in zip(state.network.parameters(), network.parameters()) {
            mine.parameter.assign(other.parameter.value)
        }
        for (average, entry) in zip(state.average.averages, state.parameters) {
            var target = average
            target.assign(entry.parameter.value)
        }
    }

    /// A run goes on with the images that it began with: its order of an epoch depends on their number.
    private func checkContinuity(of checkpoint: Checkpoint) throws {
        let past = checkpoint.state
        if past.step > configuration.steps {
            throw ConfigurationError("--steps \(configuration.steps): this run is at step \(past.step) already")
        }
        if past.classNames != dataset.classNames || past.imageCount != dataset.count {
            throw ConfigurationError(
                "\(configuration.data.source): the run began with \(past.imageCount) images in "
                    + "\(past.classNames.count) classes, now there are other ones; give the same data or another --out")
        }
    }

    // MARK: - Data

    private func makeLoader() -> Loader<TrainingDraws> {
        let (c, draws) = (configuration, Draws(seed: configuration.seed))
        let sampleCount = c.network.channels * c.network.inputSize * c.network.inputSize
        var settings = LoaderSettings(batchSize: c.batch)
        settings.flips = c.data.flips
        settings.firstStep = state.step
        return Loader(dataset: dataset, draws: draws, settings: settings) { step in
            TrainingDraws(
                draws, step: step, batch: c.batch, sampleCount: sampleCount, path: c.diffusion.path,
                sampling: c.diffusion.timeSampling, labelDrop: c.diffusion.labelDrop)
        }
    }

    private func microBatches(of loaded: LoadedBatch<TrainingDraws>) -> [Batch] {
        let (c, size) = (configuration.network, configuration.batch / configuration.accumulation)
        return (0..<configuration.accumulation).map { part in
            loaded.draws.batch(
                part * size..<(part + 1) * size, clean: loaded.images, labels: loaded.labels,
                shape: [c.channels, c.inputSize, c.inputSize], classes: c.classes, on: device)
        }
    }

    // MARK: - Writing

    private func writeCheckpoint() throws {
        let content = Checkpoint.State(
            step: state.step, classNames: dataset.classNames, imageCount: dataset.count, configuration: configuration)
        try Checkpoint.write(state, state: content, to: run.checkpointPath(step: state.step))
        run.removeOldCheckpoints(keeping: configuration.output.keepCheckpoints)
    }
}

extension StepReport {
    /// The values of a progress line.
    var headline: [(name: String, value: Double)] {
        [("loss", denoisingLoss)] + (alignmentLoss.map { [("align", $0)] } ?? [])
    }

    /// The values of a line of `metrics.jsonl`.
    func values(imagesPerSecond: Double?) -> [(name: String, value: Double)] {
        let optional: [(String, Double?)] = [
            ("alignmentLoss", alignmentLoss), ("featureNorm", featureNorm), ("targetNorm", targetNorm),
            ("imagesPerSecond", imagesPerSecond),
        ]
        let always = [
            ("denoisingLoss", denoisingLoss), ("gradientNorm", gradientNorm), ("learningRate", learningRate),
            ("residentBytes", Double(ProcessMemory.residentBytes)), ("liveTensors", Double(Tensor.liveHandles)),
        ]
        return always + optional.compactMap { name, value in value.map { (name, $0) } }
    }
}
