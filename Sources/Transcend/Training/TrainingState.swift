import Diffusion
import Models
import Torch

/// The optimiser settings that do not change during a run.
public struct OptimizerConfiguration: Codable, Sendable, Equatable {
    /// The hyperparameters of AdamW.
    public var adamW = AdamWSettings()
    /// The maximum norm of all gradients together; 0 switches clipping off.
    public var maximumGradientNorm = 1.0
    /// The EMA decay for network and head.
    public var emaDecay = 0.9999
    /// The number of consecutive steps whose loss or gradient may be not finite: they change nothing. One more stops
    /// the run.
    public var skipNonfinite = 0

    /// Creates the published settings, without skipping.
    public init() {}
}

/// Everything that training changes: network, head, their EMA, AdamW's moments, the step.
///
/// In a world of several processes each has all parameters, bit-identical. Averages and moments are either also on all
/// of them, or sharded over them.
public final class TrainingState {
    /// The network being trained.
    public let network: SiT
    /// The method with its head; without its alignment term from the stop step on.
    public private(set) var objective: any Objective
    /// The network's parameters, then the head's, under their checkpoint names.
    public let parameters: [NamedParameter]
    /// The parameters whose averages and moments are held here: all, or this rank's shard.
    public let owned: [NamedParameter]
    /// The averages of `owned`, in the same order.
    public let average: ExponentialMovingAverage
    /// The optimiser, with AdamW's moments for the trained ones of `owned`.
    public let optimizer: AdamW
    /// The optimiser settings.
    public let configuration: OptimizerConfiguration
    /// The path between data and noise.
    public let path: ProbabilityPath
    /// The number of steps done so far.
    public private(set) var step = 0
    /// The steps that changed nothing.
    public private(set) var skips = SkippedSteps()

    /// The processes that train together.
    let world: World
    /// Which rank holds the averages and moments of which parameters; nil if each holds all.
    let shares: ParameterShares?
    private let reducer: GradientReducer?

    /// Starts from the current parameters; the averages begin as a copy of them. If `averaged` is given, a network that
    /// an objective follows, its parameters hold the averages of the network.
    public init(
        network: SiT, objective: any Objective, averaged: SiT? = nil, path: ProbabilityPath,
        configuration: OptimizerConfiguration, world: World = .alone,
        distribution: DistributedConfiguration = DistributedConfiguration()
    ) throws {
        self.network = network
        self.objective = objective
        self.path = path
        self.configuration = configuration
        self.world = world
        let all = network.parameters() + objective.parameters()
        let isSpread = world.size > 1 && distribution.spreadState
        parameters = all
        shares = isSpread ? ParameterShares(all, ranks: world.size) : nil
        owned = shares.map { Array(all[$0.ranges[world.rank]]) } ?? all
        let places = (averaged?.parameters() ?? []).map { ($0.name, $0.parameter.value.detached()) }
        average = ExponentialMovingAverage(
            of: owned, decay: configuration.emaDecay, into: Dictionary(uniqueKeysWithValues: places))
        optimizer = AdamW(owned.trained, configuration.adamW)
        reducer = try world.group.map {
            try GradientReducer(all, group: $0, bucketBytes: distribution.bucketMegabytes << 20)
        }
    }

    /// Makes one update: losses, backward over the micro-batches, clipping, AdamW, EMA.
    ///
    /// The micro-batches are equal parts of this rank's share of the global batch, the same number on each rank; the
    /// gradient is the mean over the whole batch. Throws if the loss or the gradient is not finite, before anything has
    /// changed, and on all ranks. Waits for the device once, to read all numbers together; feature sizes are measured
    /// only on request, because that takes a pass over the features. All ranks learn of `votesToStop` from the report.
    /// `meanwhile` runs before that wait: host work there, such as preparing the next batch, costs no GPU time.
    public func update(
        _ batches: [Batch], learningRate: Double, measuringFeatures: Bool = true, votesToStop: Bool = false,
        meanwhile: () -> Void = {}
    ) throws -> StepReport {
        world.watch?.tick(step: step)
        releaseTeacherWhenDue()
        parameters.removeGradients()
        let count = batches.count * world.size
        // A failure here is thrown before the ranks sum their gradients, so that none takes a step without this one's
        // part.
        let parts = try withErrors {
            batches.enumerated().map { index, batch in
                let part = losses(of: network, objective, batch, path: path, step: step)
                if index == batches.count - 1 { reducer?.begin() }
                (count == 1 ? part.total : part.total / Double(count)).backward()
                return MeasuredLosses(part, features: measuringFeatures)
            }
        }
        let trained = parameters.trained
        if reducer == nil { trained.fillMissingGradients() }
        _ = try world.together { _ in reducer?.finish() }
        let gradientNorm = trained.gradientNorm()
        meanwhile()
        var sums = StepSums(parts, gradientNorm: gradientNorm, votesToStop: votesToStop)
        sums.values = try world.sum(sums.values)
        let report = StepReport(step: step, sums, learningRate: learningRate)
        guard report.isFinite else { throw NonFiniteError(report: report) }
        let factor = clippingFactor(ofNorm: report.gradientNorm, toNorm: configuration.maximumGradientNorm)
        optimizer.update(learningRate: learningRate, gradientFactor: factor, averaging: average)
        try shares?.exchange(parameters.map { $0.parameter.value.detached() }, in: world)
        step += 1
        skips.inARow = 0
        return report
    }

    /// The EMA of all parameters, in order; if it is sharded, all ranks call this together.
    func allAverages() throws -> [Tensor] {
        guard let shares else { return average.averages }
        var all = parameters.map { Tensor.zeros(like: $0.parameter.value.detached()) }
        all.replaceSubrange(shares.ranges[world.rank], with: average.averages)
        try shares.exchange(all, in: world)
        return all
    }

    /// Skips a step that is not finite: continues with the next one, with its own draws and learning rate.
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
    /// The total since the run began.
    public var total = 0
    /// The number of consecutive skipped steps so far; the next finite step resets it.
    public var inARow = 0

    /// Creates counts of zero.
    public init() {}
}
