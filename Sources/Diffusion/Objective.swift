import Models
import Torch

/// Where and how strongly features are aligned; what all methods that align have in common.
public struct AlignmentTerm: Sendable {
    /// Weight of the term beside the denoising loss (lambda).
    public let weight: Double
    public let window: TimeWindow
    public let semantics: TimeWindow.Semantics
    /// From this step on (steps count from 0) the term is left out; nil: never.
    public let stopStep: Int?
}

/// The alignment loss of some samples.
public struct Alignment: Sendable {
    /// [B].
    public let perSample: Tensor
    /// Features as the head sees them, and what they should become: for their norms in the log.
    public let features: Tensor
    public let target: Tensor
}

/// What a network is trained for beside denoising. It owns its head, which its walk lists under the names of published
/// checkpoints.
public protocol Objective: Module {
    /// Blocks, counted from 1, whose output the objective reads.
    var featureDepths: Set<Int> { get }
    /// nil where nothing is aligned.
    var alignmentTerm: AlignmentTerm? { get }
    /// The loss of the samples given: `features` [B, N, D] by block, and the same samples' batch.
    func alignment(_ features: [Int: Tensor], _ batch: NoisedBatch) -> Alignment
    /// The objective without what is needed for alignment only, such as a teacher, once the stop step is reached.
    func withoutAlignment() -> any Objective
}

extension Objective {
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
    /// The weighted mean that entered the total, before `weight`; nil if nothing was aligned.
    public let alignmentMean: Tensor?
}

/// How much of the alignment is computed. Loss and gradients are the same in both.
public enum LossMode: Sendable {
    /// Head and teacher run only on samples that count.
    case training
    /// They run on all, so that every sample's loss can be seen.
    case verification
}

/// Denoising and alignment losses of one batch (METHOD: mean((model(x_t, t, y) - v)^2) + weight * alignment).
public func losses(
    of network: SiT, _ objective: any Objective, _ batch: Batch, path: ProbabilityPath, step: Int,
    mode: LossMode = .training
) -> Losses {
    let noised = batch.noised(along: path)
    let term = objective.alignmentTerm.flatMap { step < $0.stopStep ?? .max ? $0 : nil }
    let output = network(
        noised.input, noised.t, batch.seenLabels, features: term == nil ? [] : objective.featureDepths)
    let denoising = ((output.velocity ?? .zeros(like: noised.velocity)) - noised.velocity).square().meanPerSample()
    guard let term, let aligned = align(output.features, noised, batch, objective, term, mode) else {
        return Losses(total: denoising.mean(), denoising: denoising, alignment: nil, alignmentMean: nil)
    }
    return Losses(
        total: denoising.mean() + term.weight * aligned.mean, denoising: denoising, alignment: aligned.alignment,
        alignmentMean: aligned.mean)
}

/// The alignment of the samples that count, and its mean over the batch; nil if none counts.
private func align(
    _ features: [Int: Tensor], _ noised: NoisedBatch, _ batch: Batch, _ objective: any Objective,
    _ term: AlignmentTerm, _ mode: LossMode
) -> (alignment: Alignment, mean: Tensor)? {
    let inside = batch.times.map(term.window.contains)
    let share = Double(batch.globalTimes.count(where: term.window.contains)) / Double(batch.globalTimes.count)
    switch (term.semantics, mode) {
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
        let some =
            samples.count == inside.count
            ? objective.alignment(features, noised)
            : objective.alignment(features.mapValues { $0.gathering(samples) }, noised.gathering(samples))
        return (some, some.perSample.sum() / Double(inside.count))
    }
}
