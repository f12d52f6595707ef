import CTorch

/// Kernels of the CPU (CTorch/kernels.cpp, products.cpp), each with a plain twin of libtorch's operators.
///
/// The twin is the definition, and what runs on other devices, for other element types and for shapes that a kernel does
/// not know. Both give the same numbers up to the rounding of float32.
public enum Kernels {
    /// Whether kernels run where they can, in this task: `Kernels.$areFused.withValue(false) { }` takes the twins.
    @TaskLocal public static var areFused = true
}

private enum Op {
    static let linear = Operator("linear")
    static let gelu = Operator("gelu")
}

extension Tensor {
    /// x W^T + b: [..., I] with weight [O, I] and bias [O] -> [..., O], in the current precision.
    public func linear(_ weight: Tensor, _ bias: Tensor?) -> Tensor {
        let (x, weight, bias) = (asOperand(), weight.asOperand(), bias?.asOperand())
        guard !Failure.isPending, Kernels.areFused, x.isLargeProduct(with: weight, bias) else {
            return Op.linear(x, weight, bias)
        }
        var result: OpaquePointer?
        let status = ct_linear(x.handle.raw, weight.handle.raw, bias?.handle.raw, &result)
        return Tensor(result, status, "linear", [x, weight])
    }

    /// LayerNorm without weight and bias, then scale and shift per sample: [B, N, D] with scale and shift [B, D] or
    /// [B, 1, D] -> [B, N, D] (adaLN, Peebles and Xie 2023).
    public func modulatedNorm(scale: Tensor, shift: Tensor, epsilon: Double) -> Tensor {
        guard !Failure.isPending, Kernels.areFused, isModulated(by: scale, shift) else {
            return plainModulatedNorm(scale: scale, shift: shift, epsilon: epsilon)
        }
        var result: OpaquePointer?
        let status = ct_modulated_norm(handle.raw, scale.handle.raw, shift.handle.raw, epsilon, &result)
        return Tensor(result, status, "modulated norm", [self, scale, shift])
    }

    private func plainModulatedNorm(scale: Tensor, shift: Tensor, epsilon: Double) -> Tensor {
        let scale = scale.rank == 2 ? scale.expandingAxis(1) : scale
        let shift = shift.rank == 2 ? shift.expandingAxis(1) : shift
        return layerNormalized(epsilon: epsilon) * (1 + scale) + shift
    }

    /// GELU in its tanh form (Hendrycks and Gimpel 2016).
    public func gelu() -> Tensor {
        guard !Failure.isPending, Kernels.areFused, isForKernels else { return plainGelu() }
        var result: OpaquePointer?
        let status = ct_gelu(handle.raw, &result)
        return Tensor(result, status, "gelu", [self])
    }

    private func plainGelu() -> Tensor { Op.gelu(self, "tanh") }
}

extension Tensor {
    private var isForKernels: Bool { device == .cpu && type == .F32 && count > 0 }

    /// Whether the shapes fit and there are rows enough; for few of them the reading of the weights is what takes time.
    private func isLargeProduct(with weight: Tensor, _ bias: Tensor?) -> Bool {
        guard isForKernels, weight.isForKernels, bias?.isForKernels ?? true, rank >= 2, weight.rank == 2 else {
            return false
        }
        let (outputs, inputs) = (weight.size(0), weight.size(1))
        return size(-1) == inputs && count >= 64 * inputs && bias?.shape ?? [outputs] == [outputs]
    }

    /// Whether this is [B, N, D] and the vectors are one D for each sample. Broadcasting is left to the twin.
    private func isModulated(by scale: Tensor, _ shift: Tensor) -> Bool {
        guard isForKernels, scale.isForKernels, shift.isForKernels, rank == 3 else { return false }
        let shape = scale.shape
        return shape == shift.shape && (shape == [size(0), size(2)] || shape == [size(0), 1, size(2)])
    }

    /// The result of a kernel, or a failure reported.
    private init(_ result: OpaquePointer?, _ status: Int32, _ operation: String, _ operands: [Tensor]) {
        if status != 0 { Failure.report(operation, operands.map(\.shape), Failure.lastMessage) }
        self = result.map { Tensor(owning: $0) } ?? .nothing
    }
}
