import Models
import Torch

/// The kinds of features of a network's blocks for noised images.
public enum BlockFeatures: String, Sendable, CaseIterable {
    /// Conditional features f_c, with the label.
    case conditional
    /// Unconditional features f_u, with the null label.
    case unconditional
    /// Guided features f_u + w (f_c - f_u), the target of stage 2: the direction of the class, amplified.
    case guided

    /// The outputs [B, N, D] of blocks, counted from 1, in the order of `depths`. `scale` is w of the guided features.
    /// No gradients.
    public func callAsFunction(of network: SiT, _ batch: NoisedBatch, depths: [Int], scale: Double) -> [Tensor] {
        withoutGradients {
            func features(_ input: Tensor, _ t: Tensor, _ labels: Tensor) -> [Tensor] {
                let output = network(input, t, labels, features: Set(depths), stopAfter: depths.max())
                return depths.map { output.features[$0]! }
            }
            let null = network.nullLabels(like: batch.labels)
            switch self {
            case .conditional: return features(batch.input, batch.t, batch.labels)
            case .unconditional: return features(batch.input, batch.t, null)
            case .guided:
                let both = features(
                    .concatenate([batch.input, batch.input]), .concatenate([batch.t, batch.t]),
                    .concatenate([batch.labels, null]))
                return both.map { both in
                    let parts = both.chunked(2, axis: 0)
                    return parts[1] + scale * (parts[0] - parts[1])
                }
            }
        }
    }
}
