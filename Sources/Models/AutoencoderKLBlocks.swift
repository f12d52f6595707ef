import Torch

/// The epsilon of every GroupNorm of the family.
let klEpsilon = 1e-6

/// A residual block x + conv(silu(norm(conv(silu(norm(x)))))): [B, I, H, W] -> [B, O, H, W].
struct KLResidual: Module {
    let firstNorm: GroupNorm
    let firstConvolution: Conv2d
    let secondNorm: GroupNorm
    let secondConvolution: Conv2d
    let shortcut: Conv2d?

    init(_ inputs: Int, _ outputs: Int, groups: Int, on device: Device) {
        firstNorm = GroupNorm(groups: groups, inputs, epsilon: klEpsilon, on: device)
        firstConvolution = Conv2d(inputs, outputs, kernel: 3, padding: 1, on: device)
        secondNorm = GroupNorm(groups: groups, outputs, epsilon: klEpsilon, on: device)
        secondConvolution = Conv2d(outputs, outputs, kernel: 3, padding: 1, on: device)
        shortcut = inputs == outputs ? nil : Conv2d(inputs, outputs, kernel: 1, on: device)
    }

    func walk(_ visit: inout Walk) {
        visit("norm1", firstNorm)
        visit("conv1", firstConvolution)
        visit("norm2", secondNorm)
        visit("conv2", secondConvolution)
        visit("conv_shortcut", shortcut)
    }

    func callAsFunction(_ x: Tensor) -> Tensor {
        let h = firstConvolution(firstNorm(x).silu())
        return (shortcut?(x) ?? x).to(.F32) + secondConvolution(secondNorm(h).silu())
    }
}

/// A residual attention block x + attention(norm(x)) over the H * W positions, one head of width C: [B, C, H, W] ->
/// same.
struct KLAttention: Module {
    let norm: GroupNorm
    let queries: Linear
    let keys: Linear
    let values: Linear
    let output: Linear

    init(_ channels: Int, groups: Int, on device: Device) {
        norm = GroupNorm(groups: groups, channels, epsilon: klEpsilon, on: device)
        queries = Linear(channels, channels, on: device)
        keys = Linear(channels, channels, on: device)
        values = Linear(channels, channels, on: device)
        output = Linear(channels, channels, on: device)
    }

    func walk(_ visit: inout Walk) {
        visit("group_norm", norm)
        visit("to_q", queries)
        visit("to_k", keys)
        visit("to_v", values)
        visit("to_out.0", output)
    }

    func callAsFunction(_ x: Tensor) -> Tensor {
        let places = norm(x).flattened(from: 2).transposed(1, 2)  // [B, H * W, C]
        let heads = [queries, keys, values].map { $0(places).expandingAxis(2) }
        let mixed = heads[0].attention(keys: heads[1], values: heads[2])  // [B, H * W, 1, C]
        return x + output(mixed).transposed(1, 3).reshaped(x.shape)
    }
}

/// The middle of encoder and decoder: residual block, attention if configured, residual block.
struct KLMiddle: Module {
    let residuals: [KLResidual]
    let attention: KLAttention?

    init(_ channels: Int, _ c: AutoencoderKL.Configuration, on device: Device) {
        residuals = (0..<2).map { _ in KLResidual(channels, channels, groups: c.groups, on: device) }
        attention = c.hasAttention ? KLAttention(channels, groups: c.groups, on: device) : nil
    }

    func walk(_ visit: inout Walk) {
        visit("attentions.0", attention)
        visit("resnets", residuals)
    }

    func callAsFunction(_ x: Tensor) -> Tensor {
        let x = residuals[0](x)
        return residuals[1](attention?(x) ?? x)
    }
}

/// Residual blocks followed, except in the last level of a chain, by a change of resolution.
struct KLLevel: Module {
    enum Change {
        /// Halves by a convolution of stride 2, padded by one column on the right and one row at the bottom.
        case halve
        /// Doubles by repeating every value 2 x 2, then convolves.
        case double
    }

    let residuals: [KLResidual]
    let change: Change
    let convolution: Conv2d?

    /// A chain of levels with these channels.
    static func chain(
        _ widths: [Int], layers: Int, change: Change, _ c: AutoencoderKL.Configuration, on device: Device
    ) -> [KLLevel] {
        widths.indices.map { index in
            let inputs = widths[max(index - 1, 0)]
            return KLLevel(
                inputs, widths[index], layers: layers, groups: c.groups, change: change,
                isLast: index == widths.count - 1, on: device)
        }
    }

    private init(
        _ inputs: Int, _ outputs: Int, layers: Int, groups: Int, change: Change, isLast: Bool, on device: Device
    ) {
        residuals = (0..<layers).map { KLResidual($0 == 0 ? inputs : outputs, outputs, groups: groups, on: device) }
        self.change = change
        let (stride, padding) = change == .halve ? (2, 0) : (1, 1)
        convolution = isLast ? nil : Conv2d(outputs, outputs, kernel: 3, stride: stride, padding: padding, on: device)
    }

    func walk(_ visit: inout Walk) {
        visit("resnets", residuals)
        visit(change == .halve ? "downsamplers.0.conv" : "upsamplers.0.conv", convolution)
    }

    func callAsFunction(_ x: Tensor) -> Tensor {
        let x = residuals.reduce(x) { $1($0) }
        guard let convolution else { return x }
        return convolution(change == .halve ? x.padded(right: 1, below: 1) : x.repeated(2))
    }
}

extension [KLLevel] {
    func run(_ x: Tensor, named name: String) -> Tensor {
        enumerated().reduce(x) { x, level in within("\(name).\(level.offset)") { level.element(x) } }
    }
}
