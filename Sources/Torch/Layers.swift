/// x W^T + b on the last axis: [..., I] -> [..., O]. Xavier-uniform weight and zero bias unless told otherwise.
public struct Linear: Module {
    public let weight: Parameter
    public let bias: Parameter?

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

    public func callAsFunction(_ x: Tensor) -> Tensor { x.linear(weight.value, bias?.value) }
}

/// LayerNorm over the last axis with weight and bias: [..., D] -> [..., D].
public struct LayerNorm: Module {
    public let weight: Parameter
    public let bias: Parameter
    public let epsilon: Double

    public init(_ size: Int, epsilon: Double, on device: Device) {
        weight = Parameter([size], .ones, on: device)
        bias = Parameter([size], .zeros, on: device)
        self.epsilon = epsilon
    }

    public func walk(_ visit: inout Walk) {
        visit("weight", weight)
        visit("bias", bias)
    }

    public func callAsFunction(_ x: Tensor) -> Tensor {
        x.layerNormalized(weight.value, bias.value, epsilon: epsilon)
    }
}

/// GroupNorm with weight and bias: [B, C, ...] -> [B, C, ...].
public struct GroupNorm: Module {
    public let weight: Parameter
    public let bias: Parameter
    public let groups: Int
    public let epsilon: Double

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

    public func callAsFunction(_ x: Tensor) -> Tensor {
        x.groupNormalized(groups: groups, weight.value, bias.value, epsilon: epsilon)
    }
}

/// A table of vectors by number: [...] of integers -> [..., D].
public struct Embedding: Module {
    public let weight: Parameter

    public init(_ count: Int, _ size: Int, initializer: Initializer, on device: Device) {
        weight = Parameter([count, size], initializer, on: device)
    }

    public func walk(_ visit: inout Walk) { visit("weight", weight) }

    public func callAsFunction(_ numbers: Tensor) -> Tensor { numbers.embedded(in: weight.value) }
}

/// A square convolution: [B, I, H, W] -> [B, O, H', W']. Xavier-uniform kernel and zero bias.
public struct Conv2d: Module {
    public let weight: Parameter
    public let bias: Parameter?
    public let stride: Int
    public let padding: Int

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

    public func callAsFunction(_ x: Tensor) -> Tensor {
        x.convolved(weight.value, bias?.value, stride: stride, padding: padding)
    }
}
