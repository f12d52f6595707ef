private enum Op {
    static let embedding = Operator("embedding")
    static let conv2d = Operator("conv2d")
    static let layerNorm = Operator("layer_norm")
    static let groupNorm = Operator("group_norm")
    static let silu = Operator("silu")
    static let relu = Operator("relu")
    static let tanh = Operator("tanh")
    static let pad = Operator("constant_pad_nd")
    static let nearest = Operator("upsample_nearest2d")
    static let bicubic = Operator("upsample_bicubic2d")
    static let smoothBicubic = Operator("_upsample_bicubic2d_aa")
    static let exactGelu = Operator("gelu")
    static let batchNorm = Operator("batch_norm")
    static let averagePool = Operator("avg_pool2d")
    static let maximumPool = Operator("max_pool2d")
    static let softmax = Operator("softmax", "int")
}

/// The functions from which networks are composed.
extension Tensor {
    /// Looks up rows of a table [K, D] by index: self [...] of integers -> [..., D].
    public func embedded(in table: Tensor) -> Tensor { Op.embedding(table, self) }

    /// The convolution (cross-correlation) of [B, I, H, W] with weight [O, I, kh, kw] -> [B, O, H', W'], in the current
    /// precision.
    public func convolved(_ weight: Tensor, _ bias: Tensor?, stride: Int, padding: Int) -> Tensor {
        convolved(weight, bias, stride: stride, padding: [padding, padding])
    }

    /// The convolution with separate `padding` for the top and bottom, and for both sides.
    public func convolved(_ weight: Tensor, _ bias: Tensor?, stride: Int, padding: [Int]) -> Tensor {
        Op.conv2d(asOperand(), weight.asOperand(), bias?.asOperand(), [stride, stride], padding)
    }

    /// Batch norm (x - mean) / sqrt(variance + epsilon) * weight + bias with a number for each channel [C]: [B, C, H,
    /// W].
    ///
    /// With a `momentum`, mean and variance are those of x, and the stored ones move toward them by that share.
    public func batchNormalized(
        _ weight: Tensor, _ bias: Tensor, mean: Tensor, variance: Tensor, epsilon: Double, momentum: Double? = nil
    ) -> Tensor {
        Op.batchNorm(self, weight, bias, mean, variance, momentum != nil, momentum ?? 0, epsilon, false)
    }

    /// The mean of each 3 x 3 neighbourhood, excluding the padding: [B, C, H, W] -> the same shape.
    public func averagePooled() -> Tensor { Op.averagePool(self, [3, 3], [1, 1], [1, 1], false, false) }

    /// The maximum over windows of `side` x `side`: [B, C, H, W] -> [B, C, H', W'].
    public func maximumPooled(side: Int = 3, stride: Int, padding: Int = 0) -> Tensor {
        Op.maximumPool(self, [side, side], [stride, stride], [padding, padding])
    }

    /// Normalises over the last axis: (x - mean) / sqrt(variance + epsilon) * weight + bias; bfloat16 gives float32.
    public func layerNormalized(_ weight: Tensor? = nil, _ bias: Tensor? = nil, epsilon: Double) -> Tensor {
        Op.layerNorm(type == .BF16 ? to(.F32) : self, [size(-1)], weight, bias, epsilon)
    }

    /// Normalises [B, C, ...] over groups of channels; bfloat16 gives float32.
    public func groupNormalized(groups: Int, _ weight: Tensor?, _ bias: Tensor?, epsilon: Double) -> Tensor {
        Op.groupNorm(type == .BF16 ? to(.F32) : self, groups, weight, bias, epsilon)
    }

    /// The SiLU function x sigmoid(x).
    public func silu() -> Tensor { Op.silu(self) }

    /// The rectifier max(x, 0).
    public func relu() -> Tensor { Op.relu(self) }

    /// The hyperbolic tangent of every element.
    public func tanh() -> Tensor { Op.tanh(self) }

    /// Pads the last two axes with zeros: [..., H, W] -> [..., H + above + below, W + left + right].
    public func padded(left: Int = 0, right: Int, above: Int = 0, below: Int) -> Tensor {
        Op.pad(self, [left, right, above, below])
    }

    /// Repeats every value `factor` times along each side: [B, C, H, W] -> [B, C, factor H, factor W].
    public func repeated(_ factor: Int) -> Tensor {
        Op.nearest(self, [size(2) * factor, size(3) * factor])
    }

    /// Resizes squares by bicubic interpolation with half-pixel centres: [B, C, H, W] -> [B, C, side, side]. Without
    /// antialiasing the kernel has a = -0.75, as in PyTorch, with it -0.5, as in Pillow.
    public func resizedBicubically(side: Int, antialiased: Bool) -> Tensor {
        antialiased
            ? Op.smoothBicubic(self, [side, side], false, none, none)
            : Op.bicubic(self, [side, side], false, none, none)
    }

    /// Exact GELU, x Phi(x) with the normal distribution function Phi.
    public func exactGelu() -> Tensor { Op.exactGelu(self, "none") }

    /// The softmax along an axis, computed without overflow.
    public func softmax(axis: Int) -> Tensor { Op.softmax(self, axis) }
}
