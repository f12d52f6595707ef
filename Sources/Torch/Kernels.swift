import CTorch
import Synchronization

/// The program's own kernels (CTorch: products, panel-products, residual, gelu, attention, packed-attention), each with
/// a plain counterpart made of libtorch's operators.
///
/// The plain counterpart is the definition, and runs on other devices, for other element types and for unsupported
/// shapes. Both give the same numbers up to float32 rounding.
public enum Kernels {
    /// Whether kernels run where they can, in this task: `Kernels.$areFused.withValue(false) { }` selects the plain
    /// counterparts.
    @TaskLocal public static var areFused = true

    /// The reason why a CUDA device does not run its kernels, as an unfinished sentence; nil if they run. They are
    /// compiled for the device, and compared with their plain counterparts, on the first call.
    public static func cudaProblem(of device: Device) -> String? {
        if let known = cudaProblems.withLock({ $0[device.index] }) { return known }
        func find(_ problem: String?) -> String? {
            cudaProblems.withLock { $0[device.index] = .some(problem) }
            return problem
        }
        if ct_load_cuda_kernels(Int32(device.index)) != 0 { return find(Failure.lastMessage) }
        _ = find(nil)  // The check runs the kernels.
        do { return find(try difference(on: device)) } catch { return find("\(error)") }
    }

    private static let cudaProblems = Mutex<[Int: String?]>([:])
}

private enum Op {
    static let linear = Operator("linear")
    static let gelu = Operator("gelu")
    static let attention = Operator("scaled_dot_product_attention")
}

extension Tensor {
    /// Computes x W^T + b: [..., I] with weight [O, I] and bias [O] -> [..., O], in the current precision.
    public func linear(_ weight: Tensor, _ bias: Tensor?) -> Tensor { linear(weight, bias, rounded: nil) }

    /// Computes x W^T + b; `rounded` belongs to the weight.
    func linear(_ weight: Tensor, _ bias: Tensor?, rounded: RoundedWeight?) -> Tensor {
        if let rounded, !Failure.isPending, Kernels.areFused, Precision.current == .bf16,
            canMeet(rounded: weight)
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

    /// GELU in its tanh form (Hendrycks and Gimpel 2016).
    public func gelu() -> Tensor {
        guard !Failure.isPending, Kernels.areFused, isForGelu else { return plainGelu() }
        var result: OpaquePointer?
        let status = ct_gelu(handle.raw, &result)
        return Tensor(result, status, "gelu", [self])
    }

    private func plainGelu() -> Tensor { Op.gelu(self, "tanh") }

    /// Attention softmax(q k^T / sqrt(d)) v for each head: self is q; all tensors and the result are [B, N, H, d].
    /// Products are in the current precision, the softmax in float32.
    public func attention(keys: Tensor, values: Tensor) -> Tensor {
        let (queries, keys, values) = (asOperand(), keys.asOperand(), values.asOperand())
        guard !Failure.isPending, Kernels.areFused, queries.isForAttention(keys, values) else {
            // Training batches all have the same size. A teacher sees as many samples as fall into the window.
            if device.kind == .cuda {
                Failure.check(ct_choose_attention(ct_gradients_enabled()), "attention", of: self)
            }
            return Op.attention(queries.transposed(1, 2), keys.transposed(1, 2), values.transposed(1, 2))
                .transposed(1, 2)
        }
        var result: OpaquePointer?
        let status = ct_attention(queries.handle.raw, keys.handle.raw, values.handle.raw, &result)
        return Tensor(result, status, "attention", [queries, keys, values])
    }
}

extension Tensor {
    /// Self-attention of queries, keys and values that one linear layer has made, [B, N, 3 H d] -> [B, N, H d].
    /// Products are in the current precision, the softmax in float32.
    public func packedAttention(heads: Int) -> Tensor {
        if Failure.isPending { return .nothing }
        let (packed, batch, tokens, hidden) = (asOperand(), size(0), size(1), size(2) / 3)
        guard Kernels.areFused, packed.isForPackedAttention(heads) else {
            let parts = packed.reshaped([batch, tokens, 3, heads, hidden / heads]).unbound(3, axis: 2)
            return parts[0].attention(keys: parts[1], values: parts[2]).reshaped([batch, tokens, hidden])
        }
        var result: OpaquePointer?
        let status = ct_packed_attention(packed.handle.raw, Int64(heads), &result)
        return Tensor(result, status, "attention", [packed])
    }

    private func isForPackedAttention(_ heads: Int) -> Bool {
        let isKnown = device.kind == .cpu || device.kind == .cuda && Kernels.cudaProblem(of: device) == nil
        return isKnown && ct_has_packed_attention(handle.raw, Int64(heads))
    }
}

extension Tensor {
    private var isForKernels: Bool { device == .cpu && type == .F32 && count > 0 }

    private var isForGelu: Bool {
        guard [.F32, .BF16].contains(type), count > 0 else { return false }
        switch device.kind {
        case .cpu: return true
        case .cuda: return rank > 0 && size(-1) % 8 == 0 && Kernels.cudaProblem(of: device) == nil
        case .meta: return false
        }
    }

    /// Whether this can be x in a product whose rounded weight is kept.
    private func canMeet(rounded weight: Tensor) -> Bool {
        device == weight.device && device.kind != .meta && [.F32, .BF16].contains(type) && weight.type == .F32
            && count > 0
    }

    /// Whether the shapes fit and there are enough rows to gain something.
    private func isLargeProduct(with weight: Tensor, _ bias: Tensor?) -> Bool {
        guard isForKernels, weight.isForKernels, bias?.isForKernels ?? true, rank >= 2, weight.rank == 2 else {
            return false
        }
        let (outputs, inputs) = (weight.size(0), weight.size(1))
        return size(-1) == inputs && count >= 16 * inputs && bias?.shape ?? [outputs] == [outputs]
    }

    private func isForAttention(_ keys: Tensor, _ values: Tensor) -> Bool {
        guard device == .cpu, rank == 4, count > 0, ct_has_attention(handle.raw) else { return false }
        // Processors multiply 16-bit numbers in pairs.
        return size(1) % 2 == 0 && size(3) % 2 == 0
            && [keys, values].allSatisfy { $0.device == .cpu && $0.type == type && $0.shape == shape }
    }

    /// Wraps the result of a kernel, or reports its failure.
    init(_ result: OpaquePointer?, _ status: Int32, _ operation: String, _ operands: [Tensor]) {
        if status != 0 { Failure.report(operation, operands.map(\.shape), Failure.lastMessage) }
        self = result.map { Tensor(owning: $0) } ?? .nothing
    }
}
