import Models
import Torch

/// The alignment loss of some samples.
public struct Alignment: Sendable {
    /// The loss of each sample [B].
    public let perSample: Tensor
    /// The features as the head sees them; with `target`, for their norms in the log.
    public let features: Tensor
    /// The target, with the shape of `features` if features are followed, concatenated over several encoders; [B, C, R,
    /// R] in stage 1. No gradient flows into it.
    public let target: Tensor
}

/// A training objective beside denoising. It owns its head, which its module walk lists under the names of published
/// checkpoints.
public protocol Objective: Module {
    /// The blocks, counted from 1, whose output the objective reads.
    var featureDepths: Set<Int> { get }
    /// The alignment settings; nil if nothing is aligned.
    var alignmentSettings: AlignmentSettings? { get }
    /// The alignment loss of some samples, from `features` [B, N, D] by block and the batch of the same samples.
    func alignment(_ features: [Int: Tensor], _ batch: NoisedBatch) -> Alignment
    /// The objective without anything needed only for alignment, such as a teacher, once the stop step is reached.
    func withoutAlignment() -> any Objective
}

extension Objective {
    /// The objective itself, by default.
    public func withoutAlignment() -> any Objective { self }
}

/// The losses of one batch.
public struct Losses: Sendable {
    /// The loss that is differentiated; its mean over equal parts of a global batch is the loss of that batch.
    public let total: Tensor
    /// The flow matching loss [B].
    public let denoising: Tensor
    /// The alignment of the samples that were computed; nil if there were none.
    public let alignment: Alignment?
    /// The unweighted alignment term of the total: the sum over the window divided by B, or with `batchMean` the mean
    /// times the share inside the window; nil if nothing was aligned.
    public let alignmentMean: Tensor?
}

/// How much of the alignment is computed. Loss and gradients are the same in both modes.
public enum LossMode: Sendable {
    /// Head and teacher run only on the samples that count.
    case training
    /// Head and teacher run on all samples, so that every sample's loss is available.
    case verification
}

/// Denoising and alignment losses of one batch: mean((model(x_t, t, y) - v)^2) + weight * alignment.
///
/// `step` counts from 0 and decides whether the alignment has stopped. If a global batch is split into equal parts, the
/// mean of their losses is its loss. One pass through the network serves both terms.
public func losses(
    of network: SiT, _ objective: any Objective, _ batch: Batch, path: ProbabilityPath, step: Int,
    mode: LossMode = .training
) -> Losses {
    let noised = batch.noised(along: path)
    let settings = objective.alignmentSettings.flatMap { $0.hasStopped(at: step) ? nil : $0 }
    let output = network(
        noised.input, noised.t, batch.seenLabels, features: settings == nil ? [] : objective.featureDepths)
    guard let velocity = output.velocity else { preconditionFailure("without stopAfter a network gives its velocity") }
    let denoising = (velocity - noised.velocity).square().meanPerSample()
    guard let settings, let aligned = align(output.features, noised, batch, objective, settings, mode) else {
        return Losses(total: denoising.mean(), denoising: denoising, alignment: nil, alignmentMean: nil)
    }
    return Losses(
        total: denoising.mean() + settings.weight(at: step) * aligned.mean, denoising: denoising,
        alignment: aligned.alignment,
        alignmentMean: aligned.mean)
}

/// The alignment of the samples that count, and its mean over the batch; nil if none counts.
private func align(
    _ features: [Int: Tensor], _ noised: NoisedBatch, _ batch: Batch, _ objective: any Objective,
    _ settings: AlignmentSettings, _ mode: LossMode
) -> (alignment: Alignment, mean: Tensor)? {
    let inside = batch.times.map(settings.window.contains)
    let share = Double(batch.globalTimes.count(where: settings.window.contains)) / Double(batch.globalTimes.count)
    switch (settings.semantics, mode) {
    case (.batchMean, .training) where share == 0:
        return nil
    case (.batchMean, _):
        let all = objective.alignment(features, noised)
        return (all, all.perSample.mean() * share)
    case (.perSample, .verification):
        let all = objective.alignment(features, noised)
        let mask = Tensor(inside.map { $0 ? Float(1) : 0 }).to(all.perSample.device)
        return (all, (all.perSample * mask).mean())
    case (.perSample, .training):
        let samples = inside.indices.filter { inside[$0] }
        if samples.isEmpty { return nil }
        if samples.count == inside.count {
            let all = objective.alignment(features, noised)
            return (all, all.perSample.mean())
        }
        let chosen = Tensor(samples).to(noised.input.device)
        let some = objective.alignment(features.mapValues { $0.gathering(chosen) }, noised.gathering(samples))
        return (some, some.perSample.sum() / Double(inside.count))
    }
}
