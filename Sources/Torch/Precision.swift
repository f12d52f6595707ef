import CTorch
import Synchronization

/// The precision of matrix products: linear layers, convolutions, attention. Weights, norms, softmax, residual sums and
/// losses are float32 in both.
public enum Precision: String, Codable, Sendable, CaseIterable {
    /// Operands are used as they are, in float32.
    case f32
    /// Operands and results are rounded to bfloat16; sums inside a product are float32. Weights of linear layers are
    /// rounded when they have changed, other weights in each forward pass; gradients are converted back to float32.
    case bf16

    /// The precision of products in this task: `Precision.$current.withValue(.bf16) { }`.
    @TaskLocal public static var current = Precision.f32
}

extension Tensor {
    /// The tensor as an operand of a product in the current precision.
    func asOperand() -> Tensor { Precision.current == .bf16 ? to(.BF16) : self }
}

/// A weight rounded to bfloat16 for products, cached until its values change.
final class RoundedWeight: Sendable {
    private let kept = Mutex<(values: Tensor, writes: Int64)?>(nil)

    /// The values of `weight`, rounded and without a gradient; `weight` must be the same tensor in each call.
    func values(of weight: Tensor) -> Tensor {
        kept.withLock { kept in
            let writes = ct_writes(weight.handle.raw)
            if let kept, kept.writes == writes { return kept.values }
            let values = weight.detached().to(.BF16)
            kept = (values, writes)
            return values
        }
    }
}
