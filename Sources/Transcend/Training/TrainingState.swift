import Diffusion
import Models
import Torch

/// The numbers of an optimiser step that do not change while a run lasts.
public struct OptimizerConfiguration: Codable, Sendable, Equatable {
    public var adamW = AdamWSettings()
    /// Largest norm of all gradients together; 0 switches clipping off.
    public var maximumGradientNorm = 1.0
    /// Decay of the average of network and head.
    public var emaDecay = 0.9999

    public init() {}
}

/// Everything that training changes: network, head, their averages, AdamW's moments, the step.
public final class TrainingState {
    public let network: SiT
    public private(set) var objective: any Objective
    /// The network's parameters, then the head's, under their checkpoint names.
    public let parameters: [NamedParameter]
    public let average: ExponentialMovingAverage
    public let optimizer: AdamW
    public let configuration: OptimizerConfiguration
    public let path: ProbabilityPath
    /// Updates made so far.
    public private(set) var step = 0

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
    /// or gradient is not finite, before anything has changed.
    public func update(_ batches: [Batch], learningRate: Double) throws -> StepReport {
        releaseTeacherWhenDue()
        parameters.removeGradients()
        let parts = batches.map { batch in
            let part = losses(of: network, objective, batch, path: path, step: step)
            (part.total / Double(batches.count)).backward()
            return LossReport(part)
        }
        let trained = optimizer.parameters
        trained.fillMissingGradients()
        let norm = trained.clipGradients(toNorm: configuration.maximumGradientNorm)
        let report = StepReport(step: step, parts: parts, gradientNorm: norm, learningRate: learningRate)
        guard report.isFinite else { throw NonFiniteError(report: report) }
        optimizer.update(learningRate: learningRate)
        average.update(parameters)
        step += 1
        return report
    }

    /// Continues at `step`, after the tensors have been overwritten with those of a checkpoint.
    public func resume(at step: Int) {
        self.step = step
        optimizer.setStep(step)
        releaseTeacherWhenDue()
    }

    private func releaseTeacherWhenDue() {
        if let stop = objective.alignmentSettings?.stopStep, step >= stop { objective = objective.withoutAlignment() }
    }
}

/// What one step measured, on the device; read when it is logged.
struct LossReport {
    let denoising: Tensor
    let alignment: Tensor?
    let featureNorm: Tensor?
    let targetNorm: Tensor?

    init(_ losses: Losses) {
        (denoising, alignment, featureNorm, targetNorm) = withoutGradients {
            (
                losses.denoising.mean().detached(), losses.alignmentMean?.detached(),
                losses.alignment.map { rootMeanSquare($0.features) }, losses.alignment.map { rootMeanSquare($0.target) }
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
    public let denoisingLoss: Double
    /// The alignment term before its weight; nil where no sample counted.
    public let alignmentLoss: Double?
    /// Root mean square of the student's features and of what they follow; nil where no sample counted.
    public let featureNorm: Double?
    public let targetNorm: Double?
    /// Before clipping.
    public let gradientNorm: Double
    public let learningRate: Double

    init(step: Int, parts: [LossReport], gradientNorm: Double, learningRate: Double) {
        func mean(_ values: [Tensor?], over count: Int? = nil) -> Double? {
            let numbers = values.compactMap { $0?.item() }
            return numbers.isEmpty ? nil : numbers.reduce(0, +) / Double(count ?? numbers.count)
        }
        self.step = step
        self.gradientNorm = gradientNorm
        self.learningRate = learningRate
        denoisingLoss = mean(parts.map(\.denoising)) ?? 0
        // A micro-batch without a sample in the window contributes 0 to the mean over the global batch.
        alignmentLoss = mean(parts.map(\.alignment), over: parts.count)
        featureNorm = mean(parts.map(\.featureNorm))
        targetNorm = mean(parts.map(\.targetNorm))
    }

    var isFinite: Bool {
        denoisingLoss.isFinite && (alignmentLoss ?? 0).isFinite && gradientNorm.isFinite
    }
}

/// A step whose loss or gradient is not finite; nothing was changed by it.
public struct NonFiniteError: Error, CustomStringConvertible {
    public let report: StepReport

    public var description: String {
        let alignment = report.alignmentLoss.map { ", alignment loss \($0)" } ?? ""
        let norms = report.targetNorm.map { ", target features \($0)" } ?? ""
        return "step \(report.step) is not finite (denoising loss \(report.denoisingLoss)\(alignment)\(norms), "
            + "gradient norm \(report.gradientNorm)); lower the learning rate or the guidance scale of the features"
    }
}
