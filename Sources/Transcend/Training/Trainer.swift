import Data
import Diffusion
import Formats
import Foundation
import Models
import Torch

/// Trains one stage in one run directory, starting from its newest checkpoint; also together with other processes.
public final class Trainer {
    let configuration: TrainingConfiguration
    let dataset: any Dataset
    let run: RunDirectory
    let world: World
    let device: Device
    let state: TrainingState
    /// The targets of encoders; none once the stop step has released them.
    var targets: TrainingTargets
    private let encoders: [String]
    private let writer = CheckpointWriter()
    /// The recorder; nil on ranks that do not write.
    private let recorder: RunRecorder?
    private var lossTrends: [String: LossTrend] = [:]
    /// The step of the newest checkpoint, which may still be being written.
    private var storedStep: Int?
    /// The number of ranks that were asked to stop, as known to all of them.
    private var votesToStop = 0

    /// Builds network, objective and optimiser, and continues the run's newest checkpoint if there is one. All ranks of
    /// a world call it with the same configuration and data; throws if they differ.
    public init(
        _ configuration: TrainingConfiguration, dataset: any Dataset, run: RunDirectory, world: World = .alone
    ) throws {
        let device = try world.launch?.device(named: configuration.device) ?? configuration.chosenDevice
        (self.configuration, self.dataset, self.run) = (configuration, dataset, run)
        (self.world, self.device) = (world, device)
        try run.check(configuration)
        try configuration.checkShares(of: world.size)
        targets = try TrainingTargets(configuration, of: dataset, on: device)
        encoders = targets.identities
        try Self.agree(configuration, dataset, encoders: encoders, run: run, in: world)
        try Self.checkMemory(configuration, features: targets.elementCount, launch: world.launch)
        state = try withErrors {
            try Self.makeState(configuration, dataset: dataset, run: run, in: world, on: device)
        }
        let preview = try world.isFirst ? Preview(configuration, of: dataset, on: device) : nil
        if let newest = try RunDirectory.newestCheckpoint(in: run.path).map(Checkpoint.init) {
            try Self.checkContinuity(of: newest, configuration, dataset, encoders: encoders)
            try newest.restore(state)
            (lossTrends, storedStep) = (newest.state.lossTrends, newest.state.step)
        } else if let path = configuration.initialWeights {
            try Self.load(Checkpoint(path), into: state, on: device)
        } else if let path = configuration.initialState {
            let other = try Checkpoint(path)
            try other.checkResuming(configuration)
            try other.checkResuming(on: dataset)
            try other.restore(state)
        }
        guard let preview else {
            recorder = nil
            return
        }
        try run.store(skipped: dataset.skipped, isContinued: storedStep != nil)
        try run.store(configuration)
        recorder = try RunRecorder(configuration, of: dataset, run: run, preview: preview, step: state.step)
        try run.storeMachine(device: device)
    }

    /// The outcome of a call of `train`.
    public enum Outcome: Sendable {
        /// The last step is done and has a checkpoint.
        case finished
        /// Stopped by a signal, with a checkpoint of this step.
        case interrupted(step: Int)
    }

    /// Trains to the configuration's last step; a signal to any rank ends it earlier with a checkpoint. `progress` is
    /// called with the number of steps done, after each of them.
    public func train(progress observe: (_ step: Int) -> Void = { _ in }) throws -> Outcome {
        try Interruption.whileDeferred {
            defer { recorder?.finish() }
            // Whatever happens, this process leaves no checkpoint half written.
            defer { try? writer.wait() }
            world.watch?.setBeforeExit { [writer] in try? writer.wait() }
            defer { world.watch?.setBeforeExit(nil) }
            try configuration.computing { try takeSteps(observe) }
            if storedStep != state.step { try beginCheckpoint() }
            try world.readingOrWriting { try writer.wait() }
            if state.skips.total > 0 {
                recorder?.note("\(name): \(state.skips.total) of \(state.step) steps were not finite and skipped")
            }
            // All ranks continue, or none: one may have been asked to stop after the last step.
            return try world.any(isStopping || Interruption.isRequested) ? .interrupted(step: state.step) : .finished
        }
    }

    private var name: String { configuration.method.name }

    private var isStopping: Bool { world.size > 1 ? votesToStop > 0 : Interruption.isRequested }

    /// The training loop: draw, losses, backward, step, EMA, report, checkpoint.
    private func takeSteps(_ observe: (_ step: Int) -> Void) throws {
        // A picture that was not drawn because of a signal or a full disk.
        let isDrawn = !world.isFirst || FileManager.default.fileExists(atPath: run.samplesPath(step: state.step))
        if state.step > 0, try world.any(!isDrawn) { try drawWhenDue() }
        guard state.step < configuration.steps else { return }
        recorder?.begin(step: state.step, of: dataset)
        let loader = makeLoader()
        defer { loader.stop() }
        func prepared() -> Result<[Batch], any Error> {
            Result {
                try withErrors {
                    let loaded = try loader.next()
                    releaseTargetsWhenDue(at: loaded.step)
                    return try microBatches(of: loaded)
                }
            }
        }

        var next = prepared()
        while state.step < configuration.steps, !isStopping {
            let isLogged =
                state.step % configuration.output.logEvery == 0 || state.step + 1 == configuration.steps
            let batches = try next.get()
            let (report, isSkipped) = try takeStep(batches, measuringFeatures: isLogged) { next = prepared() }
            votesToStop = report.votesToStop
            try recorder?.record(
                report, step: state.step, isLogged: isLogged || isSkipped, skips: state.skips)
            if !isSkipped { watchTrends(of: report) }
            try drawWhenDue()
            if isDue(configuration.output.checkpointEvery) { try beginCheckpoint() }
            try writer.check()
            observe(state.step)
        }
    }

    private func releaseTargetsWhenDue(at step: Int) {
        if state.objective.alignmentSettings?.hasStopped(at: step) ?? true { targets = TrainingTargets() }
    }

    /// Whether something with an interval of `every` steps is due; it always is at the end, unless it is off.
    private func isDue(_ every: Int) -> Bool {
        every > 0 && state.step > 0 && (state.step % every == 0 || state.step == configuration.steps)
    }

    // MARK: - Steps

    /// Makes one update, or none if its numbers are not finite; throws if more steps are skipped than allowed.
    /// `meanwhile` runs once, while the device is working.
    private func takeStep(
        _ batches: [Batch], measuringFeatures: Bool, meanwhile: () -> Void
    ) throws -> (report: StepReport, isSkipped: Bool) {
        func update(measuringFeatures: Bool, meanwhile: () -> Void = {}) throws -> StepReport {
            try withErrors {
                try state.update(
                    batches,
                    learningRate: configuration.schedule.learningRate(at: state.step, of: configuration.steps),
                    measuringFeatures: measuringFeatures, votesToStop: Interruption.isRequested, meanwhile: meanwhile)
            }
        }
        do {
            return (try update(measuringFeatures: measuringFeatures, meanwhile: meanwhile), false)
        } catch let error as NonFiniteError where state.skips.inARow < configuration.optimizer.skipNonfinite {
            state.skip()
            recorder?.note("warning: \(name): \(error) and was skipped, \(state.skips.inARow) in a row")
            return (error.report, true)
        } catch is NonFiniteError {
            // Repeat it, measuring the feature sizes.
            do { return (try update(measuringFeatures: true), false) } catch let error as NonFiniteError {
                throw try divergence(error)
            }
        }
    }

    private func divergence(_ error: NonFiniteError) throws -> any Error {
        try world.readingOrWriting { try writer.wait() }
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
                recorder?.note(
                    "warning: \(name): at step \(report.step) the \(loss) is \(readableNumber(rise)) times its minimum so far"
                )
            }
        }
    }

    // MARK: - Writing

    /// Passes a copy of everything to the writing thread, once the previous checkpoint is written: there is only one
    /// copy at a time.
    private func beginCheckpoint() throws {
        try world.readingOrWriting { try writer.wait() }
        storedStep = state.step
        // If each rank has everything, rank 0 writes.
        guard world.isFirst || state.shares != nil else { return }
        let content = Checkpoint.State(
            step: state.step, skips: state.skips, lossTrends: lossTrends, classNames: dataset.classNames,
            imageCount: dataset.count, latents: dataset.latents, encoders: encoders.isEmpty ? nil : encoders,
            configuration: configuration)
        let snapshot = try CheckpointSnapshot(state, state: content)
        let (run, metrics, output, world) = (run, recorder?.metrics, configuration.output, world)
        let path = run.checkpointPath(step: state.step)
        writer.begin {
            // The metrics must be as durable as the checkpoint of their step.
            try metrics?.synchronize()
            try snapshot.write(to: path, in: world)
            if world.isFirst { try run.removeOldCheckpoints(output) }
        }
    }

    /// Draws the sample grid and the curves if they are due.
    private func drawWhenDue() throws {
        if isDue(configuration.output.sampleEvery) {
            let averages = try state.allAverages()
            recorder?.draw(averages, step: state.step, world: world)
        }
        recorder?.drawCurves(isLast: state.step == configuration.steps || isStopping)
    }
}

/// Training stopped because its numbers are not finite; one sentence with step, norms and the last checkpoint.
public struct DivergenceError: Error, CustomStringConvertible {
    /// The sentence, on one line.
    public let description: String

    init(_ description: String) { self.description = description }
}
