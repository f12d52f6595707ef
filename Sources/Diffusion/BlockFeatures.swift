import Models
import Torch

/// What a network's blocks make of noised images.
public enum BlockFeatures: String, Sendable, CaseIterable {
    /// f_c, with the label.
    case conditional
    /// f_u, with the null label.
    case unconditional
    /// f_u + w (f_c - f_u), what stage 2 follows.
    case guided

    /// The outputs [B, N, D] of blocks, counted from 1, in their order. `scale` is w of the guided ones. Without gradients.
    public func callAsFunction(of network: SiT, _ batch: NoisedBatch, depths: [Int], scale: Double) -> [Tensor] {
        withoutGradients {
            let null = Tensor.full(
                [batch.labels.size(0)], Double(network.configuration.classes), .I64, on: batch.labels.device)
            func features(_ labels: Tensor) -> [Tensor] {
                let output = network(batch.input, batch.t, labels, features: Set(depths), stopAfter: depths.max())
                return depths.map { output.features[$0]! }
            }
            switch self {
            case .conditional: return features(batch.labels)
            case .unconditional: return features(null)
            case .guided: return zip(features(null), features(batch.labels)).map { $0 + scale * ($1 - $0) }
            }
        }
    }
}
