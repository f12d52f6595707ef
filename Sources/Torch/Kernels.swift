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
    static let attention = Operator("scaled_dot_product_attention")
}

extension Tensor {
    /// x W^T + b: [..., I] with weight [O, I] and bias [O] -> [..., O], in the current precision.
    public func linear(_ weight: Tensor, _ bias: Tensor?) -> Tensor { linear(weight, bias, rounded: nil) }

    /// The same; `rounded` belongs to the weight.
    func linear(_ weight: Tensor, _ bias: Tensor?, rounded: RoundedWeight?) -> Tensor {
        if let rounded, !Failure.isPending, Kernels.areFused, Precision.current == .bf16, device == .cpu,
            isOperand(shape), weight.isForKernels
        {
            let (x, halves) = (asOperand(), rounded.values(of: weight))
            var result: OpaquePointer?
            let status = ct_rounded_linear(
                x.handle.raw, weight.handle.raw, halves.handle.raw, bias?.handle.raw, &result)
            return Tensor(result, status, "linear", [x, weight])
        }
        let (x, weight, bias) = (asOperand(), weight.asOperand(), bias?.asOperand())
        guard !Failure.isPending, Kernels.areFused, x.isLargeProduct(with: weight, bias) else {
            return Op.linear(x, weight, bias)
        }
        var result: OpaquePointer?
        let status = ct_linear(x.handle.raw, weight.handle.raw, bias?.handle.raw, &result)
        return Tensor(result, status, "linear", [x, weight])
    }

    /// LayerNorm without weight and bias, then scale and shift per sample: [B, N, D] with scale and shift [B, D] or
    /// [B, 1, D] -> [B, N, D] (adaLN, Peebles and Xie 2023), as an operand of a product in the current precision.
    public func modulatedNorm(scale: Tensor, shift: Tensor, epsilon: Double) -> Tensor {
        guard !Failure.isPending, Kernels.areFused, isModulated(by: scale, shift) else {
            return plainModulatedNorm(scale: scale, shift: shift, epsilon: epsilon)
        }
        var result: OpaquePointer?
        let status = ct_modulated_norm(
            handle.raw, scale.handle.raw, shift.handle.raw, epsilon, Precision.current == .bf16, &result)
        return Tensor(result, status, "modulated norm", [self, scale, shift])
    }

    private func plainModulatedNorm(scale: Tensor, shift: Tensor, epsilon: Double) -> Tensor {
        (layerNormalized(epsilon: epsilon) * (1 + scale.forRows) + shift.forRows).asOperand()
    }

    /// self + gate * branch, the residual sum of adaLN-Zero: [B, N, D], and for the gate [B, D] or [B, 1, D].
    public func gatedSum(_ branch: Tensor, gate: Tensor) -> Tensor {
        guard !Failure.isPending, Kernels.areFused, isModulated(by: gate, gate), branch.isOperand(shape) else {
            return self + gate.forRows * branch
        }
        var result: OpaquePointer?
        let status = ct_gated_sum(handle.raw, branch.handle.raw, gate.handle.raw, &result)
        return Tensor(result, status, "gated sum", [self, branch, gate])
    }

    /// [B, D] as [B, 1, D].
    private var forRows: Tensor { rank == 2 ? expandingAxis(1) : self }

    /// GELU in its tanh form (Hendrycks and Gimpel 2016).
    public func gelu() -> Tensor {
        guard !Failure.isPending, Kernels.areFused, isOperand(shape) else { return plainGelu() }
        var result: OpaquePointer?
        let status = ct_gelu(handle.raw, &result)
        return Tensor(result, status, "gelu", [self])
    }

    private func plainGelu() -> Tensor { Op.gelu(self, "tanh") }

    /// softmax(q k^T / sqrt(d)) v for each head: self is q, all are [B, N, H, d], and so is the result. Products in the
    /// current precision, the softmax in float32.
    public func attention(keys: Tensor, values: Tensor) -> Tensor {
        let (queries, keys, values) = (asOperand(), keys.asOperand(), values.asOperand())
        guard !Failure.isPending, Kernels.areFused, queries.isForAttention(keys, values) else {
            return Op.attention(queries.transposed(1, 2), keys.transposed(1, 2), values.transposed(1, 2))
                .transposed(1, 2)
        }
        var result: OpaquePointer?
        let status = ct_attention(queries.handle.raw, keys.handle.raw, values.handle.raw, &result)
        return Tensor(result, status, "attention", [queries, keys, values])
    }
}

extension Tensor {
    private var isForKernels: Bool { device == .cpu && type == .F32 && count > 0 }

    /// Whether this has the shape, and a type that the kernels of element by element know.
    private func isOperand(_ shape: [Int]) -> Bool {
        device == .cpu && [.F32, .BF16].contains(type) && count > 0 && self.shape == shape
    }

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

    private func isForAttention(_ keys: Tensor, _ values: Tensor) -> Bool {
        guard device == .cpu, rank == 4, count > 0, ct_has_attention(handle.raw) else { return false }
        // Processors multiply numbers of 16 bits in pairs.
        return size(1) % 2 == 0 && size(3) % 2 == 0
            && [keys, values].allSatisfy { $0.device == .cpu && $0.type == type && $0.shape == shape }
    }

    /// The result of a kernel, or a failure reported.
    private init(_ result: OpaquePointer?, _ status: Int32, _ operation: String, _ operands: [Tensor]) {
        if status != 0 { Failure.report(operation, operands.map(\.shape), Failure.lastMessage) }
        self = result.map { Tensor(owning: $0) } ?? .nothing
    }
}
