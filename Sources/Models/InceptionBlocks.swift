import Torch

/// A convolution without bias, batch norm with stored statistics (epsilon 0.001), ReLU.
struct ConvNormReLU: Module {
    private let kernel: Parameter
    private let norm: StoredBatchNorm
    private let stride: Int
    private let padding: [Int]

    /// Builds the layer; `halves` means stride 2 without padding.
    init(
        _ inputs: Int, _ outputs: Int, _ height: Int, _ width: Int, halves: Bool = false, isPadded: Bool = true,
        on device: Device
    ) {
        kernel = Parameter([outputs, inputs, height, width], .xavierUniform, isTrained: false, on: device)
        norm = StoredBatchNorm(outputs, on: device)
        stride = halves ? 2 : 1
        padding = isPadded && !halves ? [height / 2, width / 2] : [0, 0]
    }

    func walk(_ visit: inout Walk) {
        visit("conv.weight", kernel)
        visit("bn", norm)
    }

    func callAsFunction(_ x: Tensor) -> Tensor {
        norm(x.convolved(kernel.value, nil, stride: stride, padding: padding)).relu()
    }
}

/// Batch norm with stored statistics.
private struct StoredBatchNorm: Module {
    private let weight, bias, mean, variance: Parameter

    init(_ channels: Int, on device: Device) {
        func vector(_ initializer: Initializer) -> Parameter {
            Parameter([channels], initializer, isTrained: false, on: device)
        }
        (weight, bias, mean, variance) = (vector(.ones), vector(.zeros), vector(.zeros), vector(.ones))
    }

    func walk(_ visit: inout Walk) {
        visit("weight", weight)
        visit("bias", bias)
        visit("running_mean", mean)
        visit("running_var", variance)
    }

    func callAsFunction(_ x: Tensor) -> Tensor {
        x.batchNormalized(weight.value, bias.value, mean: mean.value, variance: variance.value, epsilon: 0.001)
    }
}

/// Parallel branches, concatenated in order.
struct MixedBlock: Module {
    /// One step of a branch: a function without weights; a layer; or two layers with the same input, concatenated.
    enum Step: Sendable {
        case function(@Sendable (Tensor) -> Tensor)
        case layers([(name: String, layer: ConvNormReLU)])
    }

    private let branches: [[Step]]

    func walk(_ visit: inout Walk) {
        for case .layers(let layers) in branches.joined() {
            for (name, layer) in layers { visit(name, layer) }
        }
    }

    func callAsFunction(_ x: Tensor) -> Tensor { .concatenate(branches.map { run($0, x) }, axis: 1) }

    /// The output of the first branch alone.
    func first(_ x: Tensor) -> Tensor { run(branches[0], x) }

    private func run(_ branch: [Step], _ x: Tensor) -> Tensor {
        branch.reduce(x) { x, step in
            switch step {
            case .function(let function): function(x)
            case .layers(let layers):
                layers.count == 1 ? layers[0].layer(x) : .concatenate(layers.map { $0.layer(x) }, axis: 1)
            }
        }
    }
}

/// Builds the branches of a block, tracking channels from step to step.
private struct BranchBuilder {
    let inputs: Int
    let device: Device

    typealias Layer = (name: String, channels: Int, height: Int, width: Int)

    enum Part {
        case function(@Sendable (Tensor) -> Tensor)
        case layer(Layer)
        case halving(Layer)
        case pair(Layer, Layer)
    }

    func branch(_ parts: [Part]) -> [MixedBlock.Step] {
        var channels = inputs
        func built(_ layer: Layer, halves: Bool = false) -> (name: String, layer: ConvNormReLU) {
            (
                layer.name,
                ConvNormReLU(channels, layer.channels, layer.height, layer.width, halves: halves, on: device)
            )
        }
        return parts.map { part in
            switch part {
            case .function(let function): return .function(function)
            case .layer(let layer):
                defer { channels = layer.channels }
                return .layers([built(layer)])
            case .halving(let layer):
                defer { channels = layer.channels }
                return .layers([built(layer, halves: true)])
            case .pair(let a, let b):
                defer { channels = a.channels + b.channels }
                return .layers([built(a), built(b)])
            }
        }
    }
}

extension MixedBlock {
    private init(_ inputs: Int, on device: Device, _ branches: [[BranchBuilder.Part]]) {
        let builder = BranchBuilder(inputs: inputs, device: device)
        self.branches = branches.map(builder.branch)
    }

    /// A block 35 x 35 -> 35 x 35 with 224 + `pool` channels.
    static func mixed5(_ inputs: Int, pool: Int, on device: Device) -> MixedBlock {
        MixedBlock(
            inputs, on: device,
            [
                [.layer(("branch1x1", 64, 1, 1))],
                [.layer(("branch5x5_1", 48, 1, 1)), .layer(("branch5x5_2", 64, 5, 5))],
                [
                    .layer(("branch3x3dbl_1", 64, 1, 1)), .layer(("branch3x3dbl_2", 96, 3, 3)),
                    .layer(("branch3x3dbl_3", 96, 3, 3)),
                ],
                [.function { $0.averagePooled() }, .layer(("branch_pool", pool, 1, 1))],
            ])
    }

    /// A block 35 x 35 x 288 -> 17 x 17 x 768.
    static func mixed6a(on device: Device) -> MixedBlock {
        MixedBlock(
            288, on: device,
            [
                [.halving(("branch3x3", 384, 3, 3))],
                [
                    .layer(("branch3x3dbl_1", 64, 1, 1)), .layer(("branch3x3dbl_2", 96, 3, 3)),
                    .halving(("branch3x3dbl_3", 96, 3, 3)),
                ],
                [.function { $0.maximumPooled(stride: 2) }],
            ])
    }

    /// A block 17 x 17 x 768 -> 17 x 17 x 768, with n channels within the branches of width 7.
    static func mixed6(_ n: Int, on device: Device) -> MixedBlock {
        MixedBlock(
            768, on: device,
            [
                [.layer(("branch1x1", 192, 1, 1))],
                [
                    .layer(("branch7x7_1", n, 1, 1)), .layer(("branch7x7_2", n, 1, 7)),
                    .layer(("branch7x7_3", 192, 7, 1)),
                ],
                [
                    .layer(("branch7x7dbl_1", n, 1, 1)), .layer(("branch7x7dbl_2", n, 7, 1)),
                    .layer(("branch7x7dbl_3", n, 1, 7)), .layer(("branch7x7dbl_4", n, 7, 1)),
                    .layer(("branch7x7dbl_5", 192, 1, 7)),
                ],
                [.function { $0.averagePooled() }, .layer(("branch_pool", 192, 1, 1))],
            ])
    }

    /// A block 17 x 17 x 768 -> 8 x 8 x 1280.
    static func mixed7a(on device: Device) -> MixedBlock {
        MixedBlock(
            768, on: device,
            [
                [.layer(("branch3x3_1", 192, 1, 1)), .halving(("branch3x3_2", 320, 3, 3))],
                [
                    .layer(("branch7x7x3_1", 192, 1, 1)), .layer(("branch7x7x3_2", 192, 1, 7)),
                    .layer(("branch7x7x3_3", 192, 7, 1)), .halving(("branch7x7x3_4", 192, 3, 3)),
                ],
                [.function { $0.maximumPooled(stride: 2) }],
            ])
    }

    /// A block 8 x 8 -> 8 x 8 x 2048.
    static func mixed7(
        _ inputs: Int, _ pooling: @escaping @Sendable (Tensor) -> Tensor, on device: Device
    ) -> MixedBlock {
        MixedBlock(
            inputs, on: device,
            [
                [.layer(("branch1x1", 320, 1, 1))],
                [
                    .layer(("branch3x3_1", 384, 1, 1)),
                    .pair(("branch3x3_2a", 384, 1, 3), ("branch3x3_2b", 384, 3, 1)),
                ],
                [
                    .layer(("branch3x3dbl_1", 448, 1, 1)), .layer(("branch3x3dbl_2", 384, 3, 3)),
                    .pair(("branch3x3dbl_3a", 384, 1, 3), ("branch3x3dbl_3b", 384, 3, 1)),
                ],
                [.function(pooling), .layer(("branch_pool", 192, 1, 1))],
            ])
    }
}
