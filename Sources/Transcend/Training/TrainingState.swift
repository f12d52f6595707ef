import Diffusion
import Models
import Torch

/// The numbers of an optimiser step that do not change while a run lasts.
public struct OptimizerConfiguration: Codable, Sendable, Equatable {
    /// AdamW's own numbers.
    public var adamW = AdamWSettings()
    /// Largest norm of all gradients together; 0 switches clipping off.
    public var maximumGradientNorm = 1.0
    /// Decay of the average of network and head.
    public var emaDecay = 0.9999
    /// Steps in a row whose loss or gradient may be not finite: they change nothing. One more stops the run.
    public var skipNonfinite = 0

    /// The published numbers, without skipping.
    public init() {}
}

/// Everything that training changes: network, head, their averages, AdamW's moments, the step.
public final class TrainingState {
    /// The network that is trained.
    public let network: SiT
    /// The method with its head; without its alignment term from the stop step on.
    public private(set) var objective: any Objective
    /// The network's parameters, then the head's, under their checkpoint names.
    public let parameters: [NamedParameter]
    /// The averages of `parameters`, in the same order.
    public let average: ExponentialMovingAverage
    /// AdamW's moments, of the trained ones of `parameters`.
    public let optimizer: AdamW
    /// The numbers of a step.
    public let configuration: OptimizerConfiguration
    /// How data and noise are mixed.
    public let path: ProbabilityPath
    /// Steps done so far.
    public private(set) var step = 0
    /// Those of them that changed nothing.
    public private(set) var skips = SkippedSteps()

    /// Starts from the parameters as they are; the averages begin as a copy of them.
    public init(
        network: SiT, objective: any Objective, path: ProbabilityPath, configuration: OptimizerConfiguration
    ) {
        self.network = network
        self.objective = objective
        self.path = path
        self.configuration = configuration
        parameters = network.parameters() + objective.parameters()
        average = ExponentialMovingAverage(of: parameters, decay: configuration.emaDecay)
        optimizer = AdamW(parameters.trained, configuration.adamW)
    }

    /// One update: losses, backward over the micro-batches, clipping, AdamW, average.
    ///
    /// The micro-batches are equal parts of the global batch; the gradient is the mean over all of it. Throws when loss
    /// or gradient is not finite, before anything has changed. Waits once for the device, to read all numbers together;
    /// the sizes of features are measured only on request, because that is a pass over them.
    public func update(
        _ batches: [Batch], learningRate: Double, measuringFeatures: Bool = true
    ) throws -> StepReport {
        releaseTeacherWhenDue()
        parameters.removeGradients()
        let parts = batches.map { batch in
            let part = losses(of: network, objective, batch, path: path, step: step)
            (batches.count == 1 ? part.total : part.total / Double(batches.count)).backward()
            return MeasuredLosses(part, features: measuringFeatures)
        }
        let trained = optimizer.parameters
        trained.fillMissingGradients()
        let report = StepReport(
            step: step, parts: parts, gradientNorm: trained.gradientNorm(), learningRate: learningRate)
        guard report.isFinite else { throw NonFiniteError(report: report) }
        trained.clipGradients(ofNorm: report.gradientNorm, toNorm: configuration.maximumGradientNorm)
        optimizer.update(learningRate: learningRate)
        average.update(parameters)
        step += 1
        skips.inARow = 0
        return report
    }

    /// Goes on to the next step, with its own draws and rate, as if this one had not been: for one that is not finite.
    public func skip() {
        step += 1
        skips.inARow += 1
        skips.total += 1
    }

    /// Continues at `step`, after the tensors have been overwritten with those of a checkpoint.
    public func resume(at step: Int, skips: SkippedSteps = SkippedSteps()) {
        self.step = step
        self.skips = skips
        optimizer.setStep(step - skips.total)
        releaseTeacherWhenDue()
    }

    private func releaseTeacherWhenDue() {
        if let stop = objective.alignmentSettings?.stopStep, step >= stop { objective = objective.withoutAlignment() }
    }
}

/// The steps of a run that changed nothing, because their numbers were not finite.
public struct SkippedSteps: Codable, Sendable, Equatable {
    /// Since the run began.
    public var total = 0
    /// Up to now; the next step that is finite ends the row.
    public var inARow = 0

    /// None yet.
    public init() {}
}

/// What one micro-batch measured: scalars that are still on the device.
private struct MeasuredLosses {
    let denoising: Tensor
    let alignment: Tensor?
    let featureSize: Tensor?
    let targetSize: Tensor?

    init(_ losses: Losses, features: Bool) {
        let aligned = features ? losses.alignment : nil
        (denoising, alignment, featureSize, targetSize) = withoutGradients {
            (
                losses.denoising.mean().detached(), losses.alignmentMean?.detached(),
                aligned.map { rootMeanSquare($0.features) }, aligned.map { rootMeanSquare($0.target) }
            )
        }
    }
}

/// The root of the mean square of all elements.
private func rootMeanSquare(_ x: Tensor) -> Tensor { x.detached().square().mean().squareRoot() }

/// The numbers of one step, averaged over its micro-batches.
public struct StepReport: Sendable {
    /// Counted from 0.
    public let step: Int
    /// The mean squared error of the velocity.
    public let denoisingLoss: Double
    /// The alignment term before its weight; nil where no sample counted.
    public let alignmentLoss: Double?
    /// Root mean square of the student's features; nil where no sample counted or none was asked.
    public let featureNorm: Double?
    /// The same of what the features follow.
    public let targetNorm: Double?
    /// Before clipping.
    public let gradientNorm: Double
    /// That of this step.
    public let learningRate: Double

    fileprivate init(step: Int, parts: [MeasuredLosses], gradientNorm: Tensor, learningRate: Double) {
        let columns = [
            parts.map(\.denoising), parts.compactMap(\.alignment), parts.compactMap(\.featureSize),
            parts.compactMap(\.targetSize), [gradientNorm],
        ]
        var numbers = Tensor.stack(columns.flatMap { $0.map { $0.to(.F64) } }).values(as: Double.self)[...]
        let sums = columns.map { column -> Double? in
            defer { numbers = numbers.dropFirst(column.count) }
            return column.isEmpty ? nil : numbers.prefix(column.count).reduce(0, +)
        }
        func mean(_ column: Int, over count: Int) -> Double? { sums[column].map { $0 / Double(max(1, count)) } }
        self.step = step
        self.learningRate = learningRate
        denoisingLoss = mean(0, over: parts.count) ?? 0
        // A micro-batch without a sample in the window contributes 0 to the mean over the global batch.
        alignmentLoss = mean(1, over: parts.count)
        featureNorm = mean(2, over: columns[2].count)
        targetNorm = mean(3, over: columns[3].count)
        self.gradientNorm = mean(4, over: 1) ?? 0
    }

    var isFinite: Bool {
        denoisingLoss.isFinite && (alignmentLoss ?? 0).isFinite && gradientNorm.isFinite
    }
}

/// A step whose loss or gradient is not finite; nothing was changed by it.
public struct NonFiniteError: Error, CustomStringConvertible {
    /// The numbers of the step, of which at least one is nan or infinite.
    public let report: StepReport

    public var description: String {
        let alignment = report.alignmentLoss.map { ", alignment loss \($0)" } ?? ""
        let features = [("student features", report.featureNorm), ("target features", report.targetNorm)]
            .compactMap { name, norm in norm.map { ", \(name) \($0)" } }.joined()
        return "step \(report.step) is not finite (denoising loss \(report.denoisingLoss)\(alignment)\(features), "
            + "gradient norm \(report.gradientNorm))"
    }
}
