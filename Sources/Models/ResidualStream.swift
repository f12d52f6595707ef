import Torch

/// The residual stream between blocks, [B, N, D]. The last branch waits to be added until the stream is read, since the norm
/// before the next branch reads it anyway: one pass does both.
struct ResidualStream {
    private let sum: Tensor
    private let waiting: (branch: Tensor, gate: Tensor)?

    /// A stream that begins, or goes on, with these numbers.
    init(_ sum: Tensor) { (self.sum, waiting) = (sum, nil) }

    private init(_ sum: Tensor, waiting: (branch: Tensor, gate: Tensor)) { (self.sum, self.waiting) = (sum, waiting) }

    /// The stream whose `parts` these are.
    init(parts: [Tensor]) {
        sum = parts[0]
        waiting = parts.count == 1 ? nil : (parts[1], parts[2])
    }

    /// What it consists of: the sum, and where a branch is waiting the branch and its gate.
    var parts: [Tensor] { [sum] + (waiting.map { [$0.branch, $0.gate] } ?? []) }

    /// The stream with everything that was added.
    var value: Tensor { waiting.map { sum.gatedSum($0.branch, gate: $0.gate) } ?? sum }

    /// The stream with gate * f(modulated norm of the stream) added: f maps [B, N, D] to [B, N, D]; scale, shift and gate are
    /// vectors of each sample.
    func adding(scale: Tensor, shift: Tensor, gate: Tensor, _ f: (Tensor) -> Tensor) -> ResidualStream {
        let (stream, normed) = normalised(scale: scale, shift: shift)
        return ResidualStream(stream, waiting: (f(normed), gate))
    }

    /// The stream, and its LayerNorm (epsilon 1e-6) scaled and shifted.
    func normalised(scale: Tensor, shift: Tensor) -> (stream: Tensor, normed: Tensor) {
        guard let waiting else { return (sum, sum.modulatedNorm(scale: scale, shift: shift, epsilon: 1e-6)) }
        let both = sum.gatedSum(
            waiting.branch, gate: waiting.gate, normalisedWith: scale, shift: shift, epsilon: 1e-6)
        return (both.sum, both.normed)
    }
}
