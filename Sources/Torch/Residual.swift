import CTorch

/// The residual stream of a transformer with adaLN-Zero (Peebles and Xie 2023): x [B, N, D] in float32, to which gated
/// branches are added, and which is normalised, scaled and shifted for the next branch. Gates, scales and shifts are
/// per-sample vectors, [B, D] or [B, 1, D].
extension Tensor {
    /// Modulated LayerNorm, without weight and bias, then n (1 + scale) + shift: [B, N, D] -> [B, N, D], as an operand
    /// of a product in the current precision.
    public func modulatedNorm(scale: Tensor, shift: Tensor, epsilon: Double) -> Tensor {
        guard !Failure.isPending, Kernels.areFused, isStream(with: scale, shift) else {
            return (layerNormalized(epsilon: epsilon) * (1 + scale.forRows) + shift.forRows).asOperand()
        }
        var normed: OpaquePointer?
        let status = ct_residual(
            handle.raw, nil, nil, scale.handle.raw, shift.handle.raw, epsilon, Precision.current == .bf16, nil, &normed)
        return Tensor(normed, status, "modulated norm", [self, scale, shift])
    }

    /// The gated sum self + gate * branch, with a branch [B, N, D].
    public func gatedSum(_ branch: Tensor, gate: Tensor) -> Tensor {
        guard !Failure.isPending, Kernels.areFused, isStream(with: gate), branch.isBranch(of: self) else {
            return self + gate.forRows * branch
        }
        var sum: OpaquePointer?
        let status = ct_residual(
            handle.raw, branch.handle.raw, gate.handle.raw, nil, nil, 0, branch.type == .BF16, &sum, nil)
        return Tensor(sum, status, "gated sum", [self, branch, gate])
    }

    /// The gated sum and its modulated norm in one fused pass.
    public func gatedSum(
        _ branch: Tensor, gate: Tensor, normalisedWith scale: Tensor, shift: Tensor, epsilon: Double
    ) -> (sum: Tensor, normed: Tensor) {
        guard !Failure.isPending, Kernels.areFused, isStream(with: gate, scale, shift), branch.isBranch(of: self),
            branch.type == (Precision.current == .bf16 ? .BF16 : .F32)
        else {
            let sum = gatedSum(branch, gate: gate)
            return (sum, sum.modulatedNorm(scale: scale, shift: shift, epsilon: epsilon))
        }
        var (sum, normed): (OpaquePointer?, OpaquePointer?)
        let status = ct_residual(
            handle.raw, branch.handle.raw, gate.handle.raw, scale.handle.raw, shift.handle.raw, epsilon,
            branch.type == .BF16, &sum, &normed)
        let result = Tensor(sum, status, "gated sum with norm", [self, branch, gate, scale, shift])
        return (result, normed.map { Tensor(owning: $0) } ?? .nothing)
    }

    /// Views [B, D] as [B, 1, D].
    private var forRows: Tensor { rank == 2 ? expandingAxis(1) : self }

    /// Whether this is [B, N, D] and each vector has one D per sample. Broadcasting is left to the plain counterpart.
    private func isStream(with vectors: Tensor...) -> Bool {
        guard rank == 3, isForResidualKernels else { return false }
        return vectors.allSatisfy {
            $0.type == .F32 && $0.device == device
                && ($0.shape == [size(0), size(2)] || $0.shape == [size(0), 1, size(2)])
        }
    }

    private var isForResidualKernels: Bool {
        guard type == .F32, count > 0 else { return false }
        switch device.kind {
        case .cpu: return true
        case .cuda: return size(-1) % 4 == 0 && size(-1) <= 2048 && Kernels.cudaProblem(of: device) == nil
        case .meta: return false
        }
    }

    private func isBranch(of stream: Tensor) -> Bool {
        device == stream.device && shape == stream.shape && [.F32, .BF16].contains(type)
    }
}
