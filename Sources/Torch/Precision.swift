import CTorch
import Synchronization

/// The number type of matrix products: linear layers, convolutions, attention. Weights, norms, softmax, residual sums and
/// losses are float32 in both.
public enum Precision: String, Codable, Sendable, CaseIterable {
    /// Operands as they are.
    case f32
    /// Operands and results are rounded to bfloat16; inside a product sums are float32. Weights of linear layers are
    /// rounded when they have changed, other weights in each forward pass; gradients go back to float32.
    case bf16

    /// That of the products in this task: `Precision.$current.withValue(.bf16) { }`.
    @TaskLocal public static var current = Precision.f32
}

extension Tensor {
    /// The tensor as an operand of a product in the current precision.
    func asOperand() -> Tensor { Precision.current == .bf16 ? to(.BF16) : self }
}

/// A weight as an operand of products in bfloat16, kept beside it until its values change.
final class RoundedWeight: Sendable {
    private let kept = Mutex<(values: Tensor, writes: Int64)?>(nil)

    /// The values of `weight`, which has to be the same tensor in each call, rounded and without a gradient.
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
