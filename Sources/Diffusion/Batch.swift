import Torch

/// Clean images or latents with every random number that a training step needs.
public struct Batch: Sendable {
    /// Clean [B, C, R, R].
    public let clean: Tensor
    /// Standard normal, like `clean`.
    public let noise: Tensor
    /// t of each sample, in host memory: windows are decided there, without waiting for a device.
    public let times: [Float]
    /// t of every sample of the global batch that this one is a part of.
    public let globalTimes: [Float]
    /// True labels [B], int64.
    public let labels: Tensor
    /// The labels that the network sees [B]: the null class where the label was dropped.
    public let seenLabels: Tensor
    /// A number in [0, 1) for each sample, for methods that draw one; in host memory.
    public let uniforms: [Float]
    /// Features of the clean pictures by pretrained encoders, [B, M, Z] of each; empty for methods that follow none.
    public var targets: [Tensor]

    /// All have B samples in one order; without `globalTimes` the batch is a whole one, without `uniforms` they are 0.
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

    /// The samples with these numbers; `chosen` is `samples` on the batch's device.
    fileprivate func gathering(_ samples: [Int], _ chosen: Tensor) -> Batch {
        Batch(
            clean: clean.gathering(chosen), noise: noise.gathering(chosen), times: samples.map { times[$0] },
            globalTimes: globalTimes, labels: labels.gathering(chosen), seenLabels: seenLabels.gathering(chosen),
            uniforms: samples.map { uniforms[$0] }, targets: targets.map { $0.gathering(chosen) })
    }

    /// The samples on their path to noise.
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

/// What a network sees and what it should return, and what methods align features with.
public struct NoisedBatch: Sendable {
    /// Where it comes from.
    public let source: Batch
    /// The way from data to noise.
    public let path: ProbabilityPath
    /// x_t [B, C, R, R].
    public let input: Tensor
    /// d x_t / dt, the target of flow matching.
    public let velocity: Tensor
    /// [B].
    public let t: Tensor

    /// x_0 [B, C, R, R], what stage 1's head predicts in the paper's reading.
    public var clean: Tensor { source.clean }
    /// True labels [B].
    public var labels: Tensor { source.labels }
    /// Features by pretrained encoders, [B, M, Z] of each.
    public var targets: [Tensor] { source.targets }

    /// The samples with these numbers.
    public func gathering(_ samples: [Int]) -> NoisedBatch {
        let chosen = Tensor(samples).to(input.device)
        return NoisedBatch(
            source: source.gathering(samples, chosen), path: path, input: input.gathering(chosen),
            velocity: velocity.gathering(chosen), t: t.gathering(chosen))
    }
}
