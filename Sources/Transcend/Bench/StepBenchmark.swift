import Diffusion
import Foundation
import Models
import Torch

/// Times whole training steps on a synthetic batch: draws, forward, backward, clipping, AdamW, average; and the teacher of
/// methods that have one. Or whole batches of samples. Weights are moved off the zero initialisation (all normal(0.02)), because
/// zero gates make some kernels faster than they will be.
public struct StepBenchmark {
    /// Network, method, batch, precision and device; the data are synthetic.
    public var configuration: TrainingConfiguration
    /// Steps that are timed, 1 or more.
    public var steps: Int
    /// Steps before them, which fill caches and are not timed.
    public var warmup: Int
    /// The sampler that is timed instead of training; nil: training.
    public var sampler: Sampler?
    /// The processes that share the batch of a training step.
    public var world = World.alone

    /// With a `sampler` a step is one batch of samples instead of an update.
    public init(_ configuration: TrainingConfiguration, steps: Int, warmup: Int, sampler: Sampler? = nil) {
        (self.configuration, self.steps, self.warmup, self.sampler) = (configuration, steps, warmup, sampler)
    }

    /// What was measured.
    public struct Result: Sendable {
        /// Of each timed step.
        public let stepSeconds: [Double]
        /// Of matrix products, all images of a step together.
        public let flopsPerStep: Double
        /// The best rate of a square matrix product in the same run, by any library, the ceiling for utilisation.
        public let matmulFLOPsPerSecond: Double
        /// Processes that shared the batch.
        public let processes: Int
        /// The most memory that the process had resident.
        public let peakBytes: Int
        /// Of the first step, warm-up included; where samples are timed, their mean.
        public let firstLoss: Double
        /// Of the last step.
        public let lastLoss: Double

        /// Of a timed step; of an even number of steps the upper one of the middle two.
        public var medianSeconds: Double { stepSeconds.sorted()[stepSeconds.count / 2] }
    }

    /// `progress` is told after each step.
    public func run(progress: (_ step: Int) -> Void = { _ in }) throws -> Result {
        try Precision.$current.withValue(configuration.precision) { try measure(progress) }
    }

    private func measure(_ progress: (_ step: Int) -> Void) throws -> Result {
        let c = configuration
        try ProcessMemory.check(stateOf: c)
        try ProcessMemory.check(arrays: 2, ofBatch: c.batch, sampleCount: c.network.sampleCount)
        let device = try world.launch?.device(named: c.device) ?? c.chosenDevice
        let state = try withErrors { try makeState(on: device) }
        var seconds: [Double] = []
        var losses: [Double] = []
        for step in 0..<warmup + steps {
            device.synchronize()
            let start = DispatchTime.now().uptimeNanoseconds
            let value = try withErrors { try sampler.map { sample(state, $0) } ?? trainingLoss(state, step, device) }
            device.synchronize()
            if step >= warmup { seconds.append(Double(DispatchTime.now().uptimeNanoseconds - start) * 1e-9) }
            losses.append(value)
            progress(step + 1)
        }
        return Result(
            stepSeconds: seconds, flopsPerStep: Double(c.batch) * flopsPerImage,
            matmulFLOPsPerSecond: Self.matmulRate(on: device), processes: world.size,
            peakBytes: ProcessMemory.peakBytes,
            firstLoss: losses.first ?? 0, lastLoss: losses.last ?? 0)
    }

    /// Of a training step, or of the evaluations that a sample takes, guided ones counted twice.
    private var flopsPerImage: Double {
        guard let sampler else { return CostEstimate(configuration).stepFLOPs }
        let guided = (0..<sampler.steps).count { sampler.guidance.isActive(at: 1 - Double($0) / Double(sampler.steps)) }
        return Double(sampler.steps + guided) * configuration.network.forwardFLOPs()
    }

    private func trainingLoss(_ state: TrainingState, _ step: Int, _ device: Device) throws -> Double {
        let report = try state.update([batch(step, on: device)], learningRate: 1e-4, measuringFeatures: false)
        return report.denoisingLoss + (state.objective.alignmentSettings?.weight(at: step) ?? 0)
            * (report.alignmentLoss ?? 0)
    }

    /// One batch of samples; returns their mean.
    private func sample(_ state: TrainingState, _ sampler: Sampler) -> Double {
        let c = configuration
        let generator = SampleGenerator(
            network: state.network, path: c.diffusion.path, sampler: sampler, seed: c.seed)
        return generator(labels: (0..<c.batch).map { $0 % c.network.classes }, firstItem: 0).mean().item()
    }

    private func makeState(on device: Device) throws -> TrainingState {
        let c = configuration
        let method = c.method.method
        let network = SiT(c.network, on: device)
        let averaged = method.follows == .average ? SiT(c.network, on: device) : nil
        let teacher = averaged ?? (method.follows != .none ? SiT(c.network, on: device) : nil)
        let objective = method.objective(for: c.network, teacher: teacher, on: device)
        let all = network.parameters() + objective.parameters() + (averaged == nil ? teacher?.parameters() ?? [] : [])
        let draws = Draws(seed: c.seed)
        for (index, entry) in all.enumerated() {
            let shape = entry.parameter.value.shape
            let values = draws.normals(.initialise, step: 0, item: index, count: shape.reduce(1, *))
            entry.parameter.assign(Tensor(values.map { 0.02 * $0 }, shape: shape))
        }
        return try TrainingState(
            network: network, objective: objective, averaged: averaged, path: c.diffusion.path,
            configuration: c.optimizer, world: world,
            distribution: c.distributed)
    }

    /// Clean samples are noise too, so that nothing is read.
    private func batch(_ step: Int, on device: Device) -> Batch {
        let (c, draws) = (configuration, Draws(seed: configuration.seed))
        let shape = [c.network.channels, c.network.inputSize, c.network.inputSize]
        let share = world.share(of: c.batch)
        let drawn = TrainingDraws(
            draws, step: step, batch: c.batch, positions: share, sampleCount: shape.reduce(1, *),
            path: c.diffusion.path,
            sampling: c.diffusion.timeSampling, labelDrop: c.diffusion.labelDrop)
        let labels = share.map { ($0 + step) % c.network.classes }
        var batch = drawn.batch(
            share, clean: drawn.noise.reversed(), labels: labels, shape: shape, classes: c.network.classes,
            on: device)
        batch.targets = (c.method.targets?.widths ?? []).map { width in
            let count = share.count * c.network.tokens * width
            let normals = draws.normals(.noise, step: step, item: c.batch, count: count)
            return Tensor(normals, shape: [share.count, c.network.tokens, width]).to(device)
        }
        return batch
    }

    /// FLOP/s of the best of eight square products in the current precision, by each route that layers take.
    private static func matmulRate(on device: Device) -> Double {
        let side = device.kind == .cuda ? 8192 : 2048
        let a = Tensor.full([side, side], 0.5, Precision.current == .bf16 ? .BF16 : .F32, on: device)
        let best = (0..<16).map { trial in
            device.synchronize()
            let start = DispatchTime.now().uptimeNanoseconds
            _ = withoutGradients { trial % 2 == 0 ? a.matmul(a) : a.linear(a, nil) }
            device.synchronize()
            return DispatchTime.now().uptimeNanoseconds - start
        }.min()!
        return 2 * pow(Double(side), 3) / (Double(best) * 1e-9)
    }
}
