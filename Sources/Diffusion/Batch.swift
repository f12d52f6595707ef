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

    /// All have B samples in one order; without `globalTimes` the batch is a whole one.
    public init(
        clean: Tensor, noise: Tensor, times: [Float], globalTimes: [Float]? = nil, labels: Tensor, seenLabels: Tensor
    ) {
        self.clean = clean
        self.noise = noise
        self.times = times
        self.globalTimes = globalTimes ?? times
        self.labels = labels
        self.seenLabels = seenLabels
    }

    /// The samples on their path to noise.
    public func noised(along path: ProbabilityPath) -> NoisedBatch {
        let coefficients = times.map { path.coefficients(Double($0)) }
        func column(_ value: (ProbabilityPath.Coefficients) -> Double) -> Tensor {
            Tensor(coefficients.map { Float(value($0)) }, shape: [times.count, 1, 1, 1]).to(clean.device)
        }
        return NoisedBatch(
            input: column(\.alpha) * clean + column(\.sigma) * noise,
            velocity: column(\.alphaRate) * clean + column(\.sigmaRate) * noise,
            clean: clean, t: Tensor(times).to(clean.device), labels: labels)
    }
}

/// What a network sees and what it should return, and what methods align features with.
public struct NoisedBatch: Sendable {
    /// x_t [B, C, R, R].
    public let input: Tensor
    /// d x_t / dt, the target of flow matching.
    public let velocity: Tensor
    /// x_0 [B, C, R, R], what stage 1's head predicts in the paper's reading.
    public let clean: Tensor
    /// [B].
    public let t: Tensor
    /// True labels [B].
    public let labels: Tensor

    /// The samples with these numbers, an int64 vector on the batch's device.
    public func gathering(_ samples: Tensor) -> NoisedBatch {
        NoisedBatch(
            input: input.gathering(samples), velocity: velocity.gathering(samples), clean: clean.gathering(samples),
            t: t.gathering(samples), labels: labels.gathering(samples))
    }
}
