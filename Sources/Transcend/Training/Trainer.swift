import Data
import Diffusion
import Formats
import Foundation
import Models
import Torch

/// Trains one stage in one run directory, from its newest checkpoint on.
public final class Trainer {
    let configuration: TrainingConfiguration
    let dataset: any Dataset
    let run: RunDirectory
    let device: Device
    let state: TrainingState
    private let preview: Preview
    private let writer = CheckpointWriter()
    private let metrics: MetricsLog
    private let events: RunEvents
    private let progress: ProgressLine
    private var curves: CurveWriter
    private var lossTrends: [String: LossTrend] = [:]
    /// The step of the newest checkpoint, maybe still being written.
    private var storedStep: Int?

    /// Builds network, objective and optimiser, and continues the run's newest checkpoint if there is one.
    public init(
        _ configuration: TrainingConfiguration, dataset: any Dataset, run: RunDirectory
    ) throws {
        let device = configuration.chosenDevice
        (self.configuration, self.dataset, self.run, self.device) = (configuration, dataset, run, device)
        try run.check(configuration)
        try Self.checkMemory(configuration)
        state = try withErrors {
            try Self.makeState(configuration, latents: dataset.latents, run: run, on: device)
        }
        preview = try Preview(configuration, of: dataset, on: device)
        progress = ProgressLine(
            stage: configuration.method.name, total: configuration.steps, imagesPerStep: configuration.batch)
        curves = CurveWriter(
            path: run.curvesPath, metrics: run.metricsPath, title: configuration.method.name, steps: configuration.steps
        )
        if let newest = try RunDirectory.newestCheckpoint(in: run.path).map(Checkpoint.init) {
            try Self.checkContinuity(of: newest, configuration, dataset)
            try newest.restore(state)
            (lossTrends, storedStep) = (newest.state.lossTrends, newest.state.step)
        } else if let path = configuration.initialWeights {
            try Self.load(Checkpoint(path), into: state, on: device)
        } else if let path = configuration.initialState {
            try Checkpoint(path).restore(state)
            guard state.step <= configuration.steps else {
                throw ConfigurationError(
                    "--steps \(configuration.steps): --resume begins at step \(state.step) already")
            }
        }
        try run.store(skipped: dataset.skipped, isContinued: storedStep != nil)
        try run.store(configuration)
        try MetricsLog.cutBack(path: run.metricsPath, toStep: state.step - 1)
        metrics = try MetricsLog(path: run.metricsPath)
        events = RunEvents(folder: run.eventsPath, firstStep: state.step)
        try run.storeMachine(device: device)
    }

    /// How a call of `train` ended.
    public enum Outcome: Sendable {
        /// The last step is done; there is a checkpoint of it.
        case finished
        /// A signal asked for it; there is a checkpoint of this step.
        case interrupted(step: Int)
    }

    /// Trains to the configuration's last step; a signal ends it with a checkpoint before. `progress` is told how many
    /// steps are done, after each of them.
    public func train(progress observe: (_ step: Int) -> Void = { _ in }) throws -> Outcome {
        try Interruption.whileDeferred {
            defer { progress.finish() }
            // Whatever happens, no checkpoint is left half written by this process.
            defer { try? writer.wait() }
            try Precision.$current.withValue(configuration.precision) { try takeSteps(observe) }
            if storedStep != state.step { try beginCheckpoint() }
            try writer.wait()
            if state.skips.total > 0 {
                progress.note("\(name): \(state.skips.total) of \(state.step) steps were not finite and skipped")
            }
            return Interruption.isRequested ? .interrupted(step: state.step) : .finished
        }
    }

    private var name: String { configuration.method.name }

    /// The loop: draw, losses, backward, step, average, report, checkpoint.
    private func takeSteps(_ observe: (_ step: Int) -> Void) throws {
        // A picture that a signal or a full disk kept from being drawn.
        if state.step > 0, !FileManager.default.fileExists(atPath: run.samplesPath(step: state.step)) { drawWhenDue() }
        guard state.step < configuration.steps else { return }
        // TensorBoard forgets what is told of the step that a process begins with.
        if state.step > 0 {
            tell { try events.append(step: state.step, stage: name, picture: run.samplesPath(step: state.step)) }
        }
        let loader = makeLoader()
        defer { loader.stop() }
        if let note = run.note(on: dataset.skipped, of: dataset.count) { progress.note(note) }
        if let note = preview.note { progress.note("warning: \(name): \(note)") }
        var meter = RateMeter()
        let start = ProgressLine.monotonicSeconds()

        while state.step < configuration.steps, !Interruption.isRequested {
            let isLogged =
                state.step % configuration.output.logEvery == 0 || state.step + 1 == configuration.steps
            let (report, isSkipped) = try takeStep(loader.next(), measuringFeatures: isLogged)
            meter.record(step: state.step, seconds: ProgressLine.monotonicSeconds() - start)
            progress.update(step: state.step, values: report.headline)
            if isLogged || isSkipped {
                let speed = meter.stepsPerSecond.map { $0 * Double(configuration.batch) }
                let values = report.values(imagesPerSecond: speed, skips: state.skips)
                try metrics.append(step: report.step, stage: name, values: values)
                tell { try events.append(step: report.step, stage: name, values: values) }
            }
            if !isSkipped { watchTrends(of: report) }
            drawWhenDue()
            if isDue(configuration.output.checkpointEvery) { try beginCheckpoint() }
            try writer.check()
            observe(state.step)
        }
    }

    /// Whether something that happens every so many steps happens now; it always does at the end, unless it is off.
    private func isDue(_ every: Int) -> Bool {
        every > 0 && state.step > 0 && (state.step % every == 0 || state.step == configuration.steps)
    }

    // MARK: - Steps

    /// One update, or where its numbers are not finite none; throws when that is more than may be skipped.
    private func takeStep(
        _ loaded: LoadedBatch<TrainingDraws>, measuringFeatures: Bool
    ) throws -> (report: StepReport, isSkipped: Bool) {
        func update(measuringFeatures: Bool) throws -> StepReport {
            try withErrors {
                try state.update(
                    microBatches(of: loaded),
                    learningRate: configuration.schedule.learningRate(at: state.step, of: configuration.steps),
                    measuringFeatures: measuringFeatures)
            }
        }
        do {
            return (try update(measuringFeatures: measuringFeatures), false)
        } catch let error as NonFiniteError where state.skips.inARow < configuration.optimizer.skipNonfinite {
            state.skip()
            progress.note("warning: \(name): \(error) and was skipped, \(state.skips.inARow) in a row")
            return (error.report, true)
        } catch is NonFiniteError {
            // Once more, with the sizes of the features.
            do { return (try update(measuringFeatures: true), false) } catch let error as NonFiniteError {
                throw try divergence(error)
            }
        }
    }

    private func divergence(_ error: NonFiniteError) throws -> any Error {
        try writer.wait()
        let last = RunDirectory.newestCheckpoint(in: run.path).map { "the last checkpoint is \($0)" }
        return DivergenceError(
            "\(name): \(error); \(last ?? "there is no checkpoint yet"); lower the learning rate or the guidance scale of "
                + "the features, or skip up to N such steps in a row with --skip-nonfinite N")
    }

    private func watchTrends(of report: StepReport) {
        let losses =
            [("denoising loss", report.denoisingLoss)] + (report.alignmentLoss.map { [("alignment loss", $0)] } ?? [])
        for (loss, value) in losses {
            let factor = configuration.output.lossRiseFactor
            if let rise = lossTrends[loss, default: LossTrend()].observe(value, factor: factor) {
                progress.note(
                    "warning: \(name): at step \(report.step) the \(loss) is \(readableNumber(rise)) times its minimum so far"
                )
            }
        }
    }

    // MARK: - Writing

    /// Hands a copy of everything to the thread that writes, as soon as the checkpoint before is written: there is only one
    /// copy at a time.
    private func beginCheckpoint() throws {
        try writer.wait()
        let content = Checkpoint.State(
            step: state.step, skips: state.skips, lossTrends: lossTrends, classNames: dataset.classNames,
            imageCount: dataset.count, latents: dataset.latents, configuration: configuration)
        let snapshot = try CheckpointSnapshot(state, state: content)
        let (run, metrics, output, step) = (run, metrics, configuration.output, state.step)
        writer.begin {
            // The lines of metrics are to be as durable as the checkpoint of their step.
            try metrics.synchronize()
            try snapshot.write(to: run.checkpointPath(step: step))
            try run.removeOldCheckpoints(output)
        }
        storedStep = step
    }

    /// Sample grid and curves. They can be drawn again, so that a full disk or want of memory here stops no run.
    private func drawWhenDue() {
        tell {
            if isDue(configuration.output.sampleEvery) {
                let path = run.samplesPath(step: state.step)
                try preview.write(state, to: path)
                try events.append(step: state.step, stage: name, picture: path)
            }
            try curves.update(isLast: state.step == configuration.steps || Interruption.isRequested)
        }
    }

    /// Writes for the user's eyes alone; what goes wrong is a warning.
    private func tell(_ body: () throws -> Void) {
        do { try body() } catch { progress.note("warning: \(error)") }
    }
}

/// Training that cannot go on, since its numbers are not finite; one sentence with step, norms and the last checkpoint.
public struct DivergenceError: Error, CustomStringConvertible {
    /// The sentence, on one line.
    public let description: String

    init(_ description: String) { self.description = description }
}
