/// The number type of matrix products: linear layers, convolutions, attention. Weights, norms, softmax, residual sums and
/// losses are float32 in both.
public enum Precision: String, Codable, Sendable, CaseIterable {
    /// Operands as they are.
    case f32
    /// Operands and results are rounded to bfloat16; inside a product sums are float32. Weights are rounded anew in each
    /// forward pass, and their gradients go back to float32.
    case bf16

    /// That of the products in this task: `Precision.$current.withValue(.bf16) { }`.
    @TaskLocal public static var current = Precision.f32
}

extension Tensor {
    /// The tensor as an operand of a product in the current precision.
    func asOperand() -> Tensor { Precision.current == .bf16 ? to(.BF16) : self }
}
