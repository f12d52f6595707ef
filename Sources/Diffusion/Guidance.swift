import Torch

/// Classifier-free guidance v_u + s (v_c - v_u) where low <= t <= high; outside it only the conditional network is
/// used.
public struct Guidance: Codable, Sendable, Equatable {
    /// The allowed range of the scale.
    public static let scaleRange = NumberRange(1...)

    /// The guidance scale s; 1 switches guidance off.
    public var scale = 1.0
    /// The least noisy time at which guidance acts, in [0, 1].
    public var low = 0.0
    /// The noisiest time at which guidance acts, in [low, 1].
    public var high = 1.0
    /// The number of leading channels that are guided (DiT guides 3 of 4); nil for all.
    @Nullable public var channels: Int?

    /// Creates guidance without checking the values; `Sampler.problem` does that.
    public init(scale: Double = 1, low: Double = 0, high: Double = 1, channels: Int? = nil) {
        self.scale = scale
        self.low = low
        self.high = high
        self.channels = channels
    }

    /// Whether a step at time t also needs the network without a label. Both bounds belong to the interval.
    public func isActive(at t: Double) -> Bool { scale > 1 && t >= low && t <= high }

    /// The guided velocity, from velocities [B, C, R, R] with and without a label.
    func combine(conditional: Tensor, unconditional: Tensor) -> Tensor {
        let guided = unconditional + scale * (conditional - unconditional)
        guard let channels, channels < conditional.size(1) else { return guided }
        return .concatenate(
            [guided.sliced(0..<channels, axis: 1), conditional.sliced(channels..<conditional.size(1), axis: 1)],
            axis: 1)
    }
}
