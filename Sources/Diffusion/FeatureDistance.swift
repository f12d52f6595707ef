import Torch

/// How far features are from what they follow.
extension Tensor {
    /// x / |x| along an axis, the length bounded below by 1e-12. The bound is taken before the root, which has no slope at 0.
    func normalized(axis: Int = -1) -> Tensor {
        self / square().sum([axis], keepAxes: true).clamped(1e-24, 1e30).squareRoot()
    }

    /// The cosine of the angle between two tensors [B, N, D] along an axis, its mean per sample: [B].
    func cosine(to other: Tensor, axis: Int = -1) -> Tensor {
        (normalized(axis: axis) * other.normalized(axis: axis)).sum([axis]).meanPerSample()
    }

    /// d^2 / (2 beta) where |d| < beta, else |d| - beta / 2; its mean per sample: [B].
    func smoothL1(to other: Tensor, beta: Double) -> Tensor { smoothL1Distance(to: other, beta: beta).meanPerSample() }
}
