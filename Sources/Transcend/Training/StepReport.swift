import Diffusion
import Torch

/// The measurements of one micro-batch: scalars that are still on the device.
struct MeasuredLosses {
    let denoising: Tensor
    let alignment: Tensor?
    let featureRMS: Tensor?
    let targetRMS: Tensor?

    init(_ losses: Losses, features: Bool) {
        let aligned = features ? losses.alignment : nil
        (denoising, alignment, featureRMS, targetRMS) = withoutGradients {
            (
                losses.denoising.mean().detached(), losses.alignmentMean?.detached(),
                aligned.map { rootMeanSquare($0.features) }, aligned.map { rootMeanSquare($0.target) }
            )
        }
    }
}

/// The root mean square of all elements.
private func rootMeanSquare(_ x: Tensor) -> Tensor { x.detached().square().mean().squareRoot() }

/// The sums over the micro-batches of one rank, which are then summed over ranks.
struct StepSums {
    /// A sum over the micro-batches that have a value, and their number.
    struct Total {
        var sum = 0.0, count = 0.0

        /// The mean; nil if there are no values.
        var mean: Double? { count == 0 ? nil : sum / count }
    }

    private(set) var denoising, alignment, featureRMS, targetRMS: Total
    /// The number of ranks that were asked to stop.
    private(set) var votesToStop: Double
    /// The norm of the gradients, which are already summed over all ranks.
    let gradientNorm: Double

    init(_ parts: [MeasuredLosses], gradientNorm: Tensor, votesToStop: Bool) {
        let columns = [
            parts.map(\.denoising), parts.compactMap(\.alignment), parts.compactMap(\.featureRMS),
            parts.compactMap(\.targetRMS), [gradientNorm],
        ]
        var numbers = Tensor.stack(columns.flatMap { $0.map { $0.to(.F64) } }).values(as: Double.self)[...]
        let totals = columns.map { column in
            defer { numbers = numbers.dropFirst(column.count) }
            return Total(sum: numbers.prefix(column.count).reduce(0, +), count: Double(column.count))
        }
        (denoising, alignment, featureRMS, targetRMS) = (totals[0], totals[1], totals[2], totals[3])
        self.gradientNorm = totals[4].sum
        self.votesToStop = votesToStop ? 1 : 0
    }

    /// The numbers that ranks sum, in a row.
    var values: [Double] {
        get { [denoising, alignment, featureRMS, targetRMS].flatMap { [$0.sum, $0.count] } + [votesToStop] }
        set {
            let totals = stride(from: 0, to: 8, by: 2).map { Total(sum: newValue[$0], count: newValue[$0 + 1]) }
            (denoising, alignment, featureRMS, targetRMS) = (totals[0], totals[1], totals[2], totals[3])
            votesToStop = newValue[8]
        }
    }
}

/// The measurements of one step, averaged over its micro-batches on all ranks.
public struct StepReport: Sendable {
    /// The step, counted from 0.
    public let step: Int
    /// The denoising loss: the mean squared error of the velocity.
    public let denoisingLoss: Double
    /// The alignment term before its weight; nil if no sample counted.
    public let alignmentLoss: Double?
    /// The root mean square of the student's features; nil if no sample counted or it was not requested.
    public let featureRMS: Double?
    /// The root mean square of the target features, under the same conditions.
    public let targetRMS: Double?
    /// The gradient norm before clipping.
    public let gradientNorm: Double
    /// The learning rate of this step.
    public let learningRate: Double
    /// The number of ranks that were asked to stop.
    let votesToStop: Int

    init(step: Int, _ sums: StepSums, learningRate: Double) {
        self.step = step
        self.learningRate = learningRate
        denoisingLoss = sums.denoising.sum / sums.denoising.count
        // A micro-batch without a sample in the window contributes 0 to the mean over the global batch.
        alignmentLoss = sums.alignment.count == 0 ? nil : sums.alignment.sum / sums.denoising.count
        (featureRMS, targetRMS) = (sums.featureRMS.mean, sums.targetRMS.mean)
        votesToStop = Int(sums.votesToStop.isFinite ? sums.votesToStop : 0)
        gradientNorm = sums.gradientNorm
    }

    var isFinite: Bool {
        denoisingLoss.isFinite && (alignmentLoss ?? 0).isFinite && gradientNorm.isFinite
    }
}

/// The representation of a step in logs.
extension StepReport {
    /// The values for a progress line.
    var headline: [(name: String, value: Double)] {
        [("loss", denoisingLoss)] + (alignmentLoss.map { [("align", $0)] } ?? [])
    }

    /// The values for a line of `metrics.jsonl`.
    func values(imagesPerSecond: Double?, skips: SkippedSteps) -> [(name: String, value: Double)] {
        // Called norms since the first runs: the keys in files do not change.
        let optional: [(String, Double?)] = [
            ("alignmentLoss", alignmentLoss), ("featureNorm", featureRMS), ("targetNorm", targetRMS),
            ("imagesPerSecond", imagesPerSecond), ("skippedSteps", skips.total > 0 ? Double(skips.total) : nil),
        ]
        let always = [
            ("denoisingLoss", denoisingLoss), ("gradientNorm", gradientNorm), ("learningRate", learningRate),
            ("residentBytes", Double(ProcessMemory.residentBytes)), ("liveTensors", Double(Tensor.liveHandles)),
        ]
        return always + optional.compactMap { name, value in value.map { (name, $0) } }
    }
}

/// A step whose loss or gradient is not finite, and which changed nothing.
public struct NonFiniteError: Error, CustomStringConvertible {
    /// The measurements of the step, at least one of which is NaN or infinite.
    public let report: StepReport

    public var description: String {
        // The sign of what is no number says nothing.
        func text(_ value: Double) -> String { value.isNaN ? "nan" : "\(value)" }
        let alignment = report.alignmentLoss.map { ", alignment loss \(text($0))" } ?? ""
        let features = [("student features", report.featureRMS), ("target features", report.targetRMS)]
            .compactMap { name, size in size.map { ", \(name) \(text($0))" } }.joined()
        return
            "step \(report.step) is not finite (denoising loss \(text(report.denoisingLoss))\(alignment)\(features), "
            + "gradient norm \(text(report.gradientNorm)))"
    }
}
