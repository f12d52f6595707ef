import Data
import Diffusion
import Foundation
import Models
import Torch

/// Times whole training steps on a synthetic batch: draws, forward, backward, clipping, AdamW, EMA, and the method's
/// teacher if it has one. Alternatively times whole batches of samples. Weights are moved away from the zero
/// initialisation (all normal(0.02)), because zero gates make some kernels faster than in real training.
public struct StepBenchmark {
    /// The network, method, batch, precision and device; the data are synthetic.
    public var configuration: TrainingConfiguration
    /// The number of timed steps, 1 or more.
    public var steps: Int
    /// The number of warm-up steps, which are not timed.
    public var warmup: Int
    /// The sampler that is timed instead of training; nil for training.
    public var sampler: Sampler?
    /// The processes that share the batch of a training step.
    public var world = World.alone
    /// Whether to profile the timed steps, which slows them down a little.
    public var isProfiled = false

    /// Creates a benchmark; with a `sampler`, a step is one batch of samples instead of an update.
    public init(_ configuration: TrainingConfiguration, steps: Int, warmup: Int, sampler: Sampler? = nil) {
        (self.configuration, self.steps, self.warmup, self.sampler) = (configuration, steps, warmup, sampler)
    }

    /// The measurements.
    public struct Result: Sendable {
        /// The seconds of each timed step.
        public let stepSeconds: [Double]
        /// The FLOPs of matrix products per step, for all images together.
        public let flopsPerStep: Double
        /// The best rate of a square matrix product in the same run, by any library: the ceiling for utilisation.
        public let matmulFLOPsPerSecond: Double
        /// The number of processes that shared the batch.
        public let processes: Int
        /// The peak resident memory of the process, or the peak tensor memory on a CUDA device.
        public let peakBytes: Int
        /// The loss of the first step, warm-up included; the mean of the samples if sampling is timed.
        public let firstLoss: Double
        /// The loss of the last step.
        public let lastLoss: Double
        /// The profile of all timed steps; nil if none was requested.
        public let profile: Profile?

        /// The median time of a step; the upper of the two middle ones for an even number of steps.
        public var medianSeconds: Double { stepSeconds.sorted()[stepSeconds.count / 2] }
    }

    /// Runs the benchmark; `progress` is called after each step.
    public func run(progress: (_ step: Int) -> Void = { _ in }) throws -> Result {
        try configuration.computing { try measure(progress) }
    }

    private func measure(_ progress: (_ step: Int) -> Void) throws -> Result {
        let c = configuration
        try ProcessMemory.check(stateOf: c)
        try ProcessMemory.check(arrays: 2, ofBatch: c.batch, elementsPerSample: c.network.elementsPerSample)
        let device = try world.launch?.device(named: c.device) ?? c.chosenDevice
        let step = try withErrors { try sampler.map { sampling($0, on: device) } ?? training(on: device) }
        var seconds: [Double] = []
        var losses: [Double] = []
        func take(_ number: Int) throws {
            device.synchronize()
            let start = DispatchTime.now().uptimeNanoseconds
            let value = try withErrors { try step(number) }
            device.synchronize()
            if number >= warmup { seconds.append(Double(DispatchTime.now().uptimeNanoseconds - start) * 1e-9) }
            losses.append(value)
            progress(number + 1)
        }
        for number in 0..<warmup { try take(number) }
        func takeTimed() throws { for number in warmup..<warmup + steps { try take(number) } }
        var profile: Profile?
        if isProfiled { profile = try Profile.of(on: device, takeTimed).profile } else { try takeTimed() }
        return Result(
            stepSeconds: seconds, flopsPerStep: Double(c.batch) * flopsPerImage,
            matmulFLOPsPerSecond: Self.matmulRate(on: device), processes: world.size,
            peakBytes: device.peakBytes ?? ProcessMemory.peakBytes,
            firstLoss: losses.first ?? 0, lastLoss: losses.last ?? 0, profile: profile)
    }

    /// The FLOPs per image of a training step, or per sample.
    private var flopsPerImage: Double {
        guard let sampler else { return CostEstimate(configuration).stepFLOPs }
        return Double(sampler.networkPasses) * configuration.network.forwardFLOPs()
    }

    /// Steps that draw a batch of samples each and return its mean.
    private func sampling(_ sampler: Sampler, on device: Device) -> (_ step: Int) throws -> Double {
        let c = configuration
        let network = SiT(c.network, on: device)
        scatter(network.parameters())
        let generator = SampleGenerator(network: network, path: c.diffusion.path, sampler: sampler, seed: c.seed)
        return { _ in generator(labels: (0..<c.batch).map { $0 % c.network.classes }, firstItem: 0).mean().item() }
    }

    /// Steps that make an update each and return its loss.
    private func training(on device: Device) throws -> (_ step: Int) throws -> Double {
        let (c, method) = (configuration, configuration.method.method)
        let network = SiT(c.network, on: device)
        let averaged = method.follows == .average ? SiT(c.network, on: device) : nil
        let teacher = averaged ?? (method.follows != .none ? SiT(c.network, on: device) : nil)
        let objective = method.objective(for: c.network, teacher: teacher, on: device)
        scatter(
            network.parameters() + objective.parameters() + (averaged == nil ? teacher?.parameters() ?? [] : []))
        let state = try TrainingState(
            network: network, objective: objective, averaged: averaged, path: c.diffusion.path,
            configuration: c.optimizer, world: world, distribution: c.distributed)
        let positions = world.share(of: c.batch)
        // Prepared in advance by a thread, like the loader of a training run.
        let drawn = StepQueue(firstStep: 0, ahead: 3, threads: 1) { DrawnBatch(c, step: $0, positions: positions) }
        func prepared(_ step: Int) -> Swift.Result<Batch, any Error> {
            Swift.Result { try batch(drawn.next(), step, on: device) }
        }
        var next = prepared(0)
        return { step in
            let report = try state.update([next.get()], learningRate: 1e-4, measuringFeatures: false) {
                next = prepared(step + 1)
            }
            return report.denoisingLoss + (state.objective.alignmentSettings?.weight(at: step) ?? 0)
                * (report.alignmentLoss ?? 0)
        }
    }

    /// Sets all parameters to normal numbers with a standard deviation of 0.02.
    private func scatter(_ parameters: [NamedParameter]) {
        let draws = Draws(seed: configuration.seed)
        for (index, entry) in parameters.enumerated() {
            let shape = entry.parameter.value.shape
            let values = draws.normals(.initialise, step: 0, item: index, count: shape.reduce(1, *))
            entry.parameter.assign(Tensor(values.map { 0.02 * $0 }, shape: shape))
        }
    }

    /// The draws of a step; clean samples are noise too, so that nothing is read.
    private struct DrawnBatch {
        let draws: TrainingDraws
        let clean: [Float]
        /// The features of each encoder, [B, tokens, width].
        let targets: [[Float]]

        init(_ c: TrainingConfiguration, step: Int, positions: Range<Int>) {
            let all = Draws(seed: c.seed)
            draws = TrainingDraws(
                all, step: step, batch: c.batch, positions: positions, elementsPerSample: c.network.elementsPerSample,
                path: c.diffusion.path, sampling: c.diffusion.timeSampling, labelDrop: c.diffusion.labelDrop)
            clean = draws.noise.reversed()
            targets = (c.method.targets?.widths ?? []).map { width in
                all.normals(.noise, step: step, item: c.batch, count: positions.count * c.network.tokens * width)
            }
        }
    }

    private func batch(_ drawn: DrawnBatch, _ step: Int, on device: Device) -> Batch {
        let (c, share) = (configuration, world.share(of: configuration.batch))
        var batch = drawn.draws.batch(
            share, clean: drawn.clean, labels: share.map { ($0 + step) % c.network.classes },
            shape: [c.network.channels, c.network.inputSize, c.network.inputSize], classes: c.network.classes,
            on: device)
        batch.targets = drawn.targets.map {
            Tensor($0, shape: [share.count, c.network.tokens, $0.count / share.count / c.network.tokens]).to(device)
        }
        return batch
    }

    /// The FLOP/s of the best of eight square products in the current precision, over all routes that layers take.
    private static func matmulRate(on device: Device) -> Double {
        let side = device.kind == .cuda ? 8192 : 2048
        // Random numbers: processors run at higher clocks when multiplying equal numbers.
        let square = Tensor(Draws(seed: 0).normals(.noise, step: 0, item: 0, count: 2048 * 2048), shape: [2048, 2048])
        let row = Tensor.concatenate([Tensor](repeating: square, count: side / 2048), axis: 1)
        let a = Tensor.concatenate([Tensor](repeating: row, count: side / 2048), axis: 0).to(device)
            .to(Precision.current == .bf16 ? .BF16 : .F32)
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
