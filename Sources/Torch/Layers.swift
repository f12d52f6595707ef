/// A linear layer x W^T + b on the last axis: [..., I] -> [..., O]. By default the weight is Xavier-uniform and the
/// bias zero.
public struct Linear: Module {
    /// The weight [O, I].
    public let weight: Parameter
    /// The bias [O]; nil if the layer has none.
    public let bias: Parameter?
    private let rounded = RoundedWeight()

    /// Builds a layer without setting its parameters; `initializer` initialises the weight, the bias starts at 0.
    public init(
        _ inputs: Int, _ outputs: Int, initializer: Initializer = .xavierUniform, hasBias: Bool = true,
        on device: Device
    ) {
        weight = Parameter([outputs, inputs], initializer, on: device)
        bias = hasBias ? Parameter([outputs], .zeros, on: device) : nil
    }

    public func walk(_ visit: inout Walk) {
        visit("weight", weight)
        visit("bias", bias)
    }

    /// Applies the layer: [..., I] -> [..., O].
    public func callAsFunction(_ x: Tensor) -> Tensor { x.linear(weight.value, bias?.value, rounded: rounded) }
}

/// LayerNorm over the last axis with weight and bias: [..., D] -> [..., D].
public struct LayerNorm: Module {
    /// The weight [D], initially 1.
    public let weight: Parameter
    /// The bias [D], initially 0.
    public let bias: Parameter
    /// The epsilon added to the variance.
    public let epsilon: Double

    /// Builds the norm over `size` numbers, D, without setting its parameters.
    public init(_ size: Int, epsilon: Double, on device: Device) {
        weight = Parameter([size], .ones, on: device)
        bias = Parameter([size], .zeros, on: device)
        self.epsilon = epsilon
    }

    public func walk(_ visit: inout Walk) {
        visit("weight", weight)
        visit("bias", bias)
    }

    /// Applies the norm: [..., D] -> [..., D].
    public func callAsFunction(_ x: Tensor) -> Tensor {
        x.layerNormalized(weight.value, bias.value, epsilon: epsilon)
    }
}

/// GroupNorm with weight and bias: [B, C, ...] -> [B, C, ...].
public struct GroupNorm: Module {
    /// The weight [C], initially 1.
    public let weight: Parameter
    /// The bias [C], initially 0.
    public let bias: Parameter
    /// The number of groups of channels; a divisor of C.
    public let groups: Int
    /// The epsilon added to the variance.
    public let epsilon: Double

    /// Builds the norm without setting its parameters; C is `channels`, a multiple of `groups`.
    public init(groups: Int, _ channels: Int, epsilon: Double, on device: Device) {
        weight = Parameter([channels], .ones, on: device)
        bias = Parameter([channels], .zeros, on: device)
        self.groups = groups
        self.epsilon = epsilon
    }

    public func walk(_ visit: inout Walk) {
        visit("weight", weight)
        visit("bias", bias)
    }

    /// Applies the norm: [B, C, ...] -> [B, C, ...].
    public func callAsFunction(_ x: Tensor) -> Tensor {
        x.groupNormalized(groups: groups, weight.value, bias.value, epsilon: epsilon)
    }
}

/// A table of vectors by index: [...] of integers -> [..., D].
public struct Embedding: Module {
    /// The table [K, D], one row per index.
    public let weight: Parameter

    /// Builds a table without setting its parameters; K is `count` and D is `size`.
    public init(_ count: Int, _ size: Int, initializer: Initializer, on device: Device) {
        weight = Parameter([count, size], initializer, on: device)
    }

    public func walk(_ visit: inout Walk) { visit("weight", weight) }

    /// Looks up integers from 0 to K - 1: [...] -> [..., D].
    public func callAsFunction(_ numbers: Tensor) -> Tensor { numbers.embedded(in: weight.value) }
}

/// A square convolution: [B, I, H, W] -> [B, O, H', W']. The kernel is Xavier-uniform, the bias zero.
public struct Conv2d: Module {
    /// The kernel [O, I, k, k].
    public let weight: Parameter
    /// The bias [O]; nil if the layer has none.
    public let bias: Parameter?
    /// The stride in pixels, the same in both directions.
    public let stride: Int
    /// The zero padding around the input, in pixels.
    public let padding: Int

    /// Builds a convolution without setting its parameters; k is `kernel`, in pixels.
    public init(
        _ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1, padding: Int = 0, hasBias: Bool = true,
        on device: Device
    ) {
        weight = Parameter([outputs, inputs, kernel, kernel], .xavierUniform, on: device)
        bias = hasBias ? Parameter([outputs], .zeros, on: device) : nil
        self.stride = stride
        self.padding = padding
    }

    public func walk(_ visit: inout Walk) {
        visit("weight", weight)
        visit("bias", bias)
    }

    /// Applies the convolution: [B, I, H, W] -> [B, O, H', W'], H' = (H + 2 padding - k) / stride + 1, rounded down.
    public func callAsFunction(_ x: Tensor) -> Tensor {
        x.convolved(weight.value, bias?.value, stride: stride, padding: padding)
    }
}
