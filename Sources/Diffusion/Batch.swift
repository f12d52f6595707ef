import Torch

/// Clean images or latents with every random number that a training step needs.
public struct Batch: Sendable {
    /// Clean images or latents [B, C, R, R].
    public let clean: Tensor
    /// Standard normal noise, with the shape of `clean`.
    public let noise: Tensor
    /// The time t of each sample, in host memory, so that windows are decided without waiting for a device.
    public let times: [Float]
    /// The times t of all samples of the global batch that this one belongs to.
    public let globalTimes: [Float]
    /// True labels [B], int64.
    public let labels: Tensor
    /// The labels that the network sees [B]: the null class where the label was dropped.
    public let seenLabels: Tensor
    /// A number in [0, 1) for each sample, in host memory, for methods that need one.
    public let uniforms: [Float]
    /// Features of the clean pictures by pretrained encoders, [B, M, Z] each; empty for methods that follow none.
    public var targets: [Tensor]

    /// Creates a batch; all arguments have B samples in the same order. By default the batch is a whole one, and
    /// `uniforms` are 0.
    public init(
        clean: Tensor, noise: Tensor, times: [Float], globalTimes: [Float]? = nil, labels: Tensor, seenLabels: Tensor,
        uniforms: [Float]? = nil, targets: [Tensor] = []
    ) {
        self.clean = clean
        self.noise = noise
        self.times = times
        self.globalTimes = globalTimes ?? times
        self.labels = labels
        self.seenLabels = seenLabels
        self.uniforms = uniforms ?? times.map { _ in 0 }
        self.targets = targets
    }

    /// The same samples at other times.
    func at(_ times: [Float]) -> Batch {
        Batch(
            clean: clean, noise: noise, times: times, globalTimes: globalTimes, labels: labels, seenLabels: seenLabels,
            uniforms: uniforms, targets: targets)
    }

    /// The samples with these indices; `chosen` is `samples` on the batch's device.
    fileprivate func gathering(_ samples: [Int], _ chosen: Tensor) -> Batch {
        Batch(
            clean: clean.gathering(chosen), noise: noise.gathering(chosen), times: samples.map { times[$0] },
            globalTimes: globalTimes, labels: labels.gathering(chosen), seenLabels: seenLabels.gathering(chosen),
            uniforms: samples.map { uniforms[$0] }, targets: targets.map { $0.gathering(chosen) })
    }

    /// Mixes the samples with their noise along a path.
    public func noised(along path: ProbabilityPath) -> NoisedBatch {
        let coefficients = times.map { path.coefficients(Double($0)) }
        func column(_ value: (ProbabilityPath.Coefficients) -> Double) -> Tensor {
            Tensor(coefficients.map { Float(value($0)) }, shape: [times.count, 1, 1, 1]).to(clean.device)
        }
        return NoisedBatch(
            source: self, path: path, input: column(\.alpha) * clean + column(\.sigma) * noise,
            velocity: column(\.alphaRate) * clean + column(\.sigmaRate) * noise, t: Tensor(times).to(clean.device))
    }
}

/// The input and the target of a network, with what methods align features to.
public struct NoisedBatch: Sendable {
    /// The batch that it was made from.
    public let source: Batch
    /// The path between data and noise.
    public let path: ProbabilityPath
    /// The network's input x_t [B, C, R, R].
    public let input: Tensor
    /// The velocity d x_t / dt, the target of flow matching.
    public let velocity: Tensor
    /// The times t [B].
    public let t: Tensor

    /// The clean x_0 [B, C, R, R], the target of stage 1's head in the paper's reading.
    public var clean: Tensor { source.clean }
    /// True labels [B].
    public var labels: Tensor { source.labels }
    /// Features by pretrained encoders, [B, M, Z] each.
    public var targets: [Tensor] { source.targets }

    /// The samples with these indices.
    public func gathering(_ samples: [Int]) -> NoisedBatch {
        let chosen = Tensor(samples).to(input.device)
        return NoisedBatch(
            source: source.gathering(samples, chosen), path: path, input: input.gathering(chosen),
            velocity: velocity.gathering(chosen), t: t.gathering(chosen))
    }
}
