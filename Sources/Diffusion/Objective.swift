import Models
import Torch

/// The alignment loss of some samples.
public struct Alignment: Sendable {
    /// [B].
    public let perSample: Tensor
    /// Features as the head sees them, and what they should become: for their norms in the log.
    public let features: Tensor
    /// Like `features` where those are followed, those of several encoders behind one another; [B, C, R, R] in stage 1. No gradient
    /// flows into it.
    public let target: Tensor
}

/// What a network is trained for beside denoising. It owns its head, which its walk lists under the names of published
/// checkpoints.
public protocol Objective: Module {
    /// Blocks, counted from 1, whose output the objective reads.
    var featureDepths: Set<Int> { get }
    /// nil where nothing is aligned.
    var alignmentSettings: AlignmentSettings? { get }
    /// The loss of the samples given: `features` [B, N, D] by block, and the same samples' batch.
    func alignment(_ features: [Int: Tensor], _ batch: NoisedBatch) -> Alignment
    /// The objective without what is needed for alignment only, such as a teacher, once the stop step is reached.
    func withoutAlignment() -> any Objective
}

extension Objective {
    /// Objectives that hold nothing for alignment alone stay as they are.
    public func withoutAlignment() -> any Objective { self }
}

/// The losses of one batch.
public struct Losses: Sendable {
    /// What is differentiated; its mean over equal parts of a global batch is the loss of that batch.
    public let total: Tensor
    /// Flow matching [B].
    public let denoising: Tensor
    /// Over the samples that were computed; nil if there were none.
    public let alignment: Alignment?
    /// The alignment term of the total before its weight: the sum over the window divided by B, or with `batchMean` the mean times
    /// the share inside; nil if nothing was aligned.
    public let alignmentMean: Tensor?
}

/// How much of the alignment is computed. Loss and gradients are the same in both.
public enum LossMode: Sendable {
    /// Head and teacher run only on samples that count.
    case training
    /// They run on all, so that every sample's loss can be seen.
    case verification
}

/// Denoising and alignment losses of one batch: mean((model(x_t, t, y) - v)^2) + weight * alignment.
///
/// `step` counts from 0 and decides whether the alignment has stopped. Of a part of a global batch, the means over equal
/// parts have the loss of the whole as their mean. One pass through the network serves both terms.
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
