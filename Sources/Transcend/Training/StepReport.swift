import Diffusion
import Torch

/// What one micro-batch measured: scalars that are still on the device.
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

/// The root of the mean square of all elements.
private func rootMeanSquare(_ x: Tensor) -> Tensor { x.detached().square().mean().squareRoot() }

/// The numbers of the micro-batches of one rank, added up, so that ranks can add theirs.
struct StepSums {
    /// A sum over the micro-batches that have the number, and how many those are.
    struct Total {
        var sum = 0.0, count = 0.0

        /// nil where there is none.
        var mean: Double? { count == 0 ? nil : sum / count }
    }

    private(set) var denoising, alignment, featureRMS, targetRMS: Total
    /// Ranks that were asked to stop.
    private(set) var votesToStop: Double
    /// That of the gradients of all ranks, which are added up already.
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

    /// What ranks add up, one number behind another.
    var values: [Double] {
        get { [denoising, alignment, featureRMS, targetRMS].flatMap { [$0.sum, $0.count] } + [votesToStop] }
        set {
            let totals = stride(from: 0, to: 8, by: 2).map { Total(sum: newValue[$0], count: newValue[$0 + 1]) }
            (denoising, alignment, featureRMS, targetRMS) = (totals[0], totals[1], totals[2], totals[3])
            votesToStop = newValue[8]
        }
    }
}

/// The numbers of one step, averaged over its micro-batches on all ranks.
public struct StepReport: Sendable {
    /// Counted from 0.
    public let step: Int
    /// The mean squared error of the velocity.
    public let denoisingLoss: Double
    /// The alignment term before its weight; nil where no sample counted.
    public let alignmentLoss: Double?
    /// Root mean square of the student's features; nil where no sample counted or none was asked.
    public let featureRMS: Double?
    /// The same of what the features follow.
    public let targetRMS: Double?
    /// Before clipping.
    public let gradientNorm: Double
    /// That of this step.
    public let learningRate: Double
    /// Ranks that were asked to stop.
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

/// What is told of a step.
extension StepReport {
    /// The values of a progress line.
    var headline: [(name: String, value: Double)] {
        [("loss", denoisingLoss)] + (alignmentLoss.map { [("align", $0)] } ?? [])
    }

    /// The values of a line of `metrics.jsonl`.
    func values(imagesPerSecond: Double?, skips: SkippedSteps) -> [(name: String, value: Double)] {
        // Called norms since the first runs: the keys of files stay.
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

/// A step whose loss or gradient is not finite; nothing was changed by it.
public struct NonFiniteError: Error, CustomStringConvertible {
    /// The numbers of the step, of which at least one is nan or infinite.
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
