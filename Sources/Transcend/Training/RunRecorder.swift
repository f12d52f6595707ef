import Data
import Diffusion
import Foundation
import Torch

/// Writes the output of a run for its user during training: metrics, events, curves, sample grids, a progress line.
///
/// Of several processes, only rank 0 has one.
final class RunRecorder {
    /// The metrics file, which is as durable as checkpoints.
    let metrics: MetricsLog
    private let configuration: TrainingConfiguration
    private let run: RunDirectory
    private let preview: Preview
    private let events: RunEvents
    private let progress: ProgressLine
    private var curves: CurveWriter
    private var meter = RateMeter()
    private var start = 0.0

    /// Continues after `step`; throws if the run's folder cannot be written, or the previews do not fit the data.
    init(
        _ configuration: TrainingConfiguration, of dataset: any Dataset, run: RunDirectory, preview: Preview, step: Int
    ) throws {
        (self.configuration, self.run, self.preview) = (configuration, run, preview)
        let name = configuration.method.name
        progress = ProgressLine(stage: name, total: configuration.steps, imagesPerStep: configuration.batch)
        curves = CurveWriter(
            path: run.curvesPath, metrics: run.metricsPath, title: name, steps: configuration.steps)
        try MetricsLog.cutBack(path: run.metricsPath, toStep: step - 1)
        metrics = try MetricsLog(path: run.metricsPath)
        events = RunEvents(folder: run.eventsPath, firstStep: step)
    }

    private var name: String { configuration.method.name }

    /// Called before the first step of this process.
    func begin(step: Int, of dataset: any Dataset) {
        // TensorBoard discards events of the step with which a process begins.
        if step > 0 { tell { try events.append(step: step, stage: name, picture: run.samplesPath(step: step)) } }
        if let note = run.note(on: dataset.skipped, of: dataset.count) { progress.note(note) }
        if let note = dataset.unread.sentence { progress.note("warning: \(name): \(note)") }
        if let note = preview.note { progress.note("warning: \(name): \(note)") }
        start = ProgressLine.monotonicSeconds()
    }

    /// Called after each step, with `step` of them done.
    func record(_ report: StepReport, step: Int, isLogged: Bool, skips: SkippedSteps) throws {
        meter.record(step: step, seconds: ProgressLine.monotonicSeconds() - start)
        progress.update(step: step, values: report.headline)
        guard isLogged else { return }
        let speed = meter.stepsPerSecond.map { $0 * Double(configuration.batch) }
        let values = report.values(imagesPerSecond: speed, skips: skips)
        try metrics.append(step: report.step, stage: name, values: values)
        tell { try events.append(step: report.step, stage: name, values: values) }
    }

    /// Draws the sample grid of a step from the EMA of all parameters.
    func draw(_ averages: [Tensor], step: Int, world: World) {
        tell {
            let path = run.samplesPath(step: step)
            try preview.write(averages, to: path) { world.watch?.tick() }
            try events.append(step: step, stage: name, picture: path)
        }
    }

    /// Draws the curves when they are due.
    func drawCurves(isLast: Bool) { tell { try curves.update(isLast: isLast) } }

    func note(_ message: String) { progress.note(message) }

    func finish() { progress.finish() }

    /// Writes output that is only for the user and can be made again; a full disk or lack of memory here stops no run.
    private func tell(_ body: () throws -> Void) {
        do { try body() } catch { progress.note("warning: \(error)") }
    }
}
