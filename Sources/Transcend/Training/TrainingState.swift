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
///
/// In a world of several processes each has all parameters, the same to the bit. Averages and moments are on all of them too,
/// or spread over them.
public final class TrainingState {
    /// The network that is trained.
    public let network: SiT
    /// The method with its head; without its alignment term from the stop step on.
    public private(set) var objective: any Objective
    /// The network's parameters, then the head's, under their checkpoint names.
    public let parameters: [NamedParameter]
    /// Those of the parameters whose averages and moments are held here: all, or this rank's share.
    public let owned: [NamedParameter]
    /// The averages of `owned`, in the same order.
    public let average: ExponentialMovingAverage
    /// AdamW's moments, of the trained ones of `owned`.
    public let optimizer: AdamW
    /// The numbers of a step.
    public let configuration: OptimizerConfiguration
    /// How data and noise are mixed.
    public let path: ProbabilityPath
    /// Steps done so far.
    public private(set) var step = 0
    /// Those of them that changed nothing.
    public private(set) var skips = SkippedSteps()

    /// The processes that train together.
    let world: World
    /// Which rank holds averages and moments of which parameters; nil: each all of them.
    let shares: ParameterShares?
    private let reducer: GradientReducer?

    /// Starts from the parameters as they are; the averages begin as a copy of them. Those of the network are the parameters of
    /// `averaged`, if there is one: a network that an objective follows.
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

    /// One update: losses, backward over the micro-batches, clipping, AdamW, average.
    ///
    /// The micro-batches are equal parts of this rank's share of the global batch, as many on each rank; the gradient is the
    /// mean over the whole batch. Throws when loss or gradient is not finite, before anything has changed, and on all ranks.
    /// Waits once for the device, to read all numbers together; the sizes of features are measured only on request, because
    /// that is a pass over them. `votesToStop` becomes known to all ranks by the report. `meanwhile` runs before that wait: what
    /// the host does there, such as preparing the next batch, costs no time of a GPU.
    public func update(
        _ batches: [Batch], learningRate: Double, measuringFeatures: Bool = true, votesToStop: Bool = false,
        meanwhile: () -> Void = {}
    ) throws -> StepReport {
        world.watch?.tick(step: step)
        releaseTeacherWhenDue()
        parameters.removeGradients()
        let count = batches.count * world.size
        // What fails here is thrown before the ranks add up, so that none takes a step without this one's part.
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
        trained.clipGradients(ofNorm: report.gradientNorm, toNorm: configuration.maximumGradientNorm)
        optimizer.update(learningRate: learningRate)
        average.update(owned)
        try shares?.exchange(parameters.map { $0.parameter.value.detached() }, in: world)
        step += 1
        skips.inARow = 0
        return report
    }

    /// The averages of all parameters, in their order; all ranks ask for them together where they are spread.
    func allAverages() throws -> [Tensor] {
        guard let shares else { return average.averages }
        var all = parameters.map { Tensor.zeros(like: $0.parameter.value.detached()) }
        all.replaceSubrange(shares.ranges[world.rank], with: average.averages)
        try shares.exchange(all, in: world)
        return all
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
