import Torch

/// Distances between features and their targets.
extension Tensor {
    /// x / |x| along an axis, with the length bounded below by 1e-12. The bound is applied before the root, which has
    /// no finite slope at 0.
    func normalized(axis: Int = -1) -> Tensor {
        self / square().sum([axis], keepAxes: true).clamped(1e-24, 1e30).squareRoot()
    }

    /// The mean cosine similarity of two tensors [B, N, D] along an axis, per sample: [B].
    func cosine(to other: Tensor, axis: Int = -1) -> Tensor {
        (normalized(axis: axis) * other.normalized(axis: axis)).sum([axis]).meanPerSample()
    }

    /// The mean smooth L1 distance per sample, [B]: d^2 / (2 beta) where |d| < beta, else |d| - beta / 2.
    func smoothL1(to other: Tensor, beta: Double) -> Tensor { smoothL1Distance(to: other, beta: beta).meanPerSample() }
}
