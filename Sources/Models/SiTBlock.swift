import Foundation
import Torch

/// A transformer block whose shifts, scales and gates come from the condition (adaLN-Zero, Peebles and Xie 2023).
struct SiTBlock: Module {
    let attention: Attention
    let mlp: MLP
    let modulation: Linear

    init(_ c: SiTConfiguration, on device: Device) {
        attention = Attention(hidden: c.hidden, heads: c.heads, hasNorms: c.qkNorm, on: device)
        mlp = MLP(c.hidden, c.mlpWidth, on: device)
        modulation = Linear(c.hidden, 6 * c.hidden, initializer: .zeros, on: device)
    }

    func walk(_ visit: inout Walk) {
        visit("attn", attention)
        visit("mlp", mlp)
        visit("adaLN_modulation.1", modulation)
    }

    /// Applies the block to a stream of [B, N, D], with a condition [B, D] after its SiLU, which all blocks share.
    /// Activations inside are kept for the backward pass, or recomputed (`Recomputation`).
    func callAsFunction(_ x: ResidualStream, _ condition: Tensor) -> ResidualStream {
        let parts = recomputing([condition] + x.parts) { inputs in
            changed(ResidualStream(parts: Array(inputs.dropFirst())), inputs[0]).parts
        }
        return ResidualStream(parts: parts)
    }

    private func changed(_ x: ResidualStream, _ condition: Tensor) -> ResidualStream {
        let parts = modulation(condition).to(.F32).expandingAxis(1).chunked(6, axis: -1)
        return x.adding(scale: parts[1], shift: parts[0], gate: parts[2], attention.callAsFunction)
            .adding(scale: parts[4], shift: parts[3], gate: parts[5], mlp.callAsFunction)
    }
}

/// Multi-head self-attention, optionally with QK-norm: LayerNorm (epsilon 1e-5) on queries and keys per head.
struct Attention: Module {
    let heads: Int
    let qkv: Linear
    let queryNorm: LayerNorm?
    let keyNorm: LayerNorm?
    let projection: Linear

    init(hidden: Int, heads: Int, hasNorms: Bool = false, on device: Device) {
        self.heads = heads
        qkv = Linear(hidden, 3 * hidden, on: device)
        queryNorm = hasNorms ? LayerNorm(hidden / heads, epsilon: 1e-5, on: device) : nil
        keyNorm = hasNorms ? LayerNorm(hidden / heads, epsilon: 1e-5, on: device) : nil
        projection = Linear(hidden, hidden, on: device)
    }

    func walk(_ visit: inout Walk) {
        visit("qkv", qkv)
        visit("q_norm", queryNorm)
        visit("k_norm", keyNorm)
        visit("proj", projection)
    }

    /// Applies attention: [B, N, D] -> [B, N, D].
    func callAsFunction(_ x: Tensor) -> Tensor {
        guard let queryNorm, let keyNorm else { return projection(qkv(x).packedAttention(heads: heads)) }
        let (batch, tokens, hidden) = (x.size(0), x.size(1), x.size(2))
        let parts = qkv(x).reshaped([batch, tokens, 3, heads, hidden / heads]).unbound(3, axis: 2)
        let mixed = queryNorm(parts[0]).attention(keys: keyNorm(parts[1]), values: parts[2])
        return projection(mixed.reshaped([batch, tokens, hidden]))
    }
}

/// The MLP of a block: D -> width -> D with GELU in its tanh form.
struct MLP: Module {
    let first: Linear
    let second: Linear

    init(_ hidden: Int, _ width: Int, on device: Device) {
        first = Linear(hidden, width, on: device)
        second = Linear(width, hidden, on: device)
    }

    func walk(_ visit: inout Walk) {
        visit("fc1", first)
        visit("fc2", second)
    }

    func callAsFunction(_ x: Tensor) -> Tensor { second(first(x).gelu()) }
}

/// The timestep embedding: t in [0, 1] (not scaled by 1000), [B] -> [B, D]: 128 cosines, then 128 sines, frequencies
/// 10000^(-i / 128), MLP.
struct TimestepEmbedder: Module {
    static let features = 256
    let first: Linear
    let second: Linear

    init(hidden: Int, on device: Device) {
        first = Linear(Self.features, hidden, initializer: .normal(deviation: 0.02), on: device)
        second = Linear(hidden, hidden, initializer: .normal(deviation: 0.02), on: device)
    }

    func walk(_ visit: inout Walk) {
        visit("mlp.0", first)
        visit("mlp.2", second)
    }

    func callAsFunction(_ t: Tensor) -> Tensor {
        let half = Self.features / 2
        let exponents = Tensor.range(half, on: t.device) * (-log(10000) / Double(half))
        let angles = t.to(.F32).expandingAxis(1) * exponents.exp()
        return second(first(.concatenate([angles.cos(), angles.sin()], axis: -1)).silu())
    }
}

/// Modulated LayerNorm and the linear layer to patches: a stream of [B, N, D] -> [B, N, P*P*C].
struct FinalLayer: Module {
    let linear: Linear
    let modulation: Linear

    init(_ c: SiTConfiguration, on device: Device) {
        linear = Linear(c.hidden, c.patchValues, initializer: .zeros, on: device)
        modulation = Linear(c.hidden, 2 * c.hidden, initializer: .zeros, on: device)
    }

    func walk(_ visit: inout Walk) {
        visit("linear", linear)
        visit("adaLN_modulation.1", modulation)
    }

    func callAsFunction(_ x: ResidualStream, _ condition: Tensor) -> Tensor {
        let parts = modulation(condition).to(.F32).expandingAxis(1).chunked(2, axis: -1)
        return linear(x.normalised(scale: parts[1], shift: parts[0]).normed)
    }
}
