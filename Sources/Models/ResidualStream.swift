import Torch

/// The residual stream between blocks, [B, N, D]. The last branch is added only when the stream is read, since the norm
/// before the next branch reads it anyway: one fused pass does both.
struct ResidualStream {
    private let sum: Tensor
    private let waiting: (branch: Tensor, gate: Tensor)?

    /// Creates a stream without a pending branch.
    init(_ sum: Tensor) { (self.sum, waiting) = (sum, nil) }

    private init(_ sum: Tensor, waiting: (branch: Tensor, gate: Tensor)) { (self.sum, self.waiting) = (sum, waiting) }

    /// Creates a stream from its `parts`.
    init(parts: [Tensor]) {
        sum = parts[0]
        waiting = parts.count == 1 ? nil : (parts[1], parts[2])
    }

    /// The tensors of the stream: the sum and, if a branch is pending, the branch and its gate.
    var parts: [Tensor] { [sum] + (waiting.map { [$0.branch, $0.gate] } ?? []) }

    /// The stream with its pending branch added.
    var value: Tensor { waiting.map { sum.gatedSum($0.branch, gate: $0.gate) } ?? sum }

    /// The stream with gate * f(modulated norm of the stream) added: f maps [B, N, D] to [B, N, D]; scale, shift and
    /// gate are per-sample vectors.
    func adding(scale: Tensor, shift: Tensor, gate: Tensor, _ f: (Tensor) -> Tensor) -> ResidualStream {
        let (stream, normed) = normalised(scale: scale, shift: shift)
        return ResidualStream(stream, waiting: (f(normed), gate))
    }

    /// The stream with its pending branch added, and its LayerNorm (epsilon 1e-6), scaled and shifted.
    func normalised(scale: Tensor, shift: Tensor) -> (stream: Tensor, normed: Tensor) {
        guard let waiting else { return (sum, sum.modulatedNorm(scale: scale, shift: shift, epsilon: 1e-6)) }
        let both = sum.gatedSum(
            waiting.branch, gate: waiting.gate, normalisedWith: scale, shift: shift, epsilon: 1e-6)
        return (both.sum, both.normed)
    }
}
