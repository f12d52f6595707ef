/// x W^T + b on the last axis: [..., I] -> [..., O]. Xavier-uniform weight and zero bias unless told otherwise.
public struct Linear: Module {
    /// [O, I].
    public let weight: Parameter
    /// [O]; nil where the layer has none.
    public let bias: Parameter?
    private let rounded = RoundedWeight()

    /// `initializer` starts the weight; the bias starts at 0. Parameters are not set yet.
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

    /// [..., I] -> [..., O].
    public func callAsFunction(_ x: Tensor) -> Tensor { x.linear(weight.value, bias?.value, rounded: rounded) }
}

/// LayerNorm over the last axis with weight and bias: [..., D] -> [..., D].
public struct LayerNorm: Module {
    /// [D], from 1.
    public let weight: Parameter
    /// [D], from 0.
    public let bias: Parameter
    /// Added to the variance.
    public let epsilon: Double

    /// Over `size` numbers, D. Parameters are not set yet.
    public init(_ size: Int, epsilon: Double, on device: Device) {
        weight = Parameter([size], .ones, on: device)
        bias = Parameter([size], .zeros, on: device)
        self.epsilon = epsilon
    }

    public func walk(_ visit: inout Walk) {
        visit("weight", weight)
        visit("bias", bias)
    }

    /// [..., D] -> [..., D].
    public func callAsFunction(_ x: Tensor) -> Tensor {
        x.layerNormalized(weight.value, bias.value, epsilon: epsilon)
    }
}

/// GroupNorm with weight and bias: [B, C, ...] -> [B, C, ...].
public struct GroupNorm: Module {
    /// [C], from 1.
    public let weight: Parameter
    /// [C], from 0.
    public let bias: Parameter
    /// Of channels; a divisor of C.
    public let groups: Int
    /// Added to the variance.
    public let epsilon: Double

    /// C is `channels`, a multiple of `groups`. Parameters are not set yet.
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

    /// [B, C, ...] -> [B, C, ...].
    public func callAsFunction(_ x: Tensor) -> Tensor {
        x.groupNormalized(groups: groups, weight.value, bias.value, epsilon: epsilon)
    }
}

/// A table of vectors by number: [...] of integers -> [..., D].
public struct Embedding: Module {
    /// [K, D], a row for each number.
    public let weight: Parameter

    /// K is `count` and D is `size`. Parameters are not set yet.
    public init(_ count: Int, _ size: Int, initializer: Initializer, on device: Device) {
        weight = Parameter([count, size], initializer, on: device)
    }

    public func walk(_ visit: inout Walk) { visit("weight", weight) }

    /// Integers from 0 to K - 1: [...] -> [..., D].
    public func callAsFunction(_ numbers: Tensor) -> Tensor { numbers.embedded(in: weight.value) }
}

/// A square convolution: [B, I, H, W] -> [B, O, H', W']. Xavier-uniform kernel and zero bias.
public struct Conv2d: Module {
    /// [O, I, k, k].
    public let weight: Parameter
    /// [O]; nil where the layer has none.
    public let bias: Parameter?
    /// Pixels from one place of the kernel to the next, the same both ways.
    public let stride: Int
    /// Zeros around the input, in pixels.
    public let padding: Int

    /// k is `kernel`, in pixels. Parameters are not set yet.
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

    /// [B, I, H, W] -> [B, O, H', W'], H' = (H + 2 padding - k) / stride + 1, rounded down.
    public func callAsFunction(_ x: Tensor) -> Tensor {
        x.convolved(weight.value, bias?.value, stride: stride, padding: padding)
    }
}
