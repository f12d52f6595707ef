import Torch

/// Google's Inception network of December 2015, on which FID is based, as ported to PyTorch
/// (pt_inception-2015-12-05-6726825d.pth of mseitzer/pytorch-fid, whose names these are).
///
/// It differs from torchvision's: 1008 classes, no auxiliary head, average pooling that excludes the padding, max
/// pooling instead of average pooling in the last block, batch norm with epsilon 0.001. Always in float32.
public struct Inception: Module {
    /// The outputs used by ADM's evaluator, for B images.
    public struct Output: Sendable {
        /// The pooled features [B, 2048], the mean over the last 8 x 8 positions (TensorFlow's pool_3).
        public let pool: Tensor
        /// The spatial features [B, 2023]: 17 x 17 positions of 7 channels, channels last, of the 1 x 1 branch of
        /// Mixed_6d (mixed_6/conv).
        public let spatial: Tensor
        /// The logits [B, 1008]: `pool` times the last matrix, without its bias.
        public let logits: Tensor
    }

    private static let side = 299
    private static let spatialChannels = 7

    private let stem: [(name: String, layer: ConvNormReLU)]
    private let blocks: [(name: String, block: MixedBlock)]
    private let classifier: Linear

    /// Builds the network without its weights.
    public init(on device: Device = .cpu) {
        stem = [
            ("Conv2d_1a_3x3", ConvNormReLU(3, 32, 3, 3, halves: true, on: device)),
            ("Conv2d_2a_3x3", ConvNormReLU(32, 32, 3, 3, isPadded: false, on: device)),
            ("Conv2d_2b_3x3", ConvNormReLU(32, 64, 3, 3, on: device)),
            ("Conv2d_3b_1x1", ConvNormReLU(64, 80, 1, 1, on: device)),
            ("Conv2d_4a_3x3", ConvNormReLU(80, 192, 3, 3, isPadded: false, on: device)),
        ]
        blocks = [
            ("Mixed_5b", .mixed5(192, pool: 32, on: device)), ("Mixed_5c", .mixed5(256, pool: 64, on: device)),
            ("Mixed_5d", .mixed5(288, pool: 64, on: device)), ("Mixed_6a", .mixed6a(on: device)),
            ("Mixed_6b", .mixed6(128, on: device)), ("Mixed_6c", .mixed6(160, on: device)),
            ("Mixed_6d", .mixed6(160, on: device)), ("Mixed_6e", .mixed6(192, on: device)),
            ("Mixed_7a", .mixed7a(on: device)), ("Mixed_7b", .mixed7(1280, { $0.averagePooled() }, on: device)),
            ("Mixed_7c", .mixed7(2048, { $0.maximumPooled(stride: 1, padding: 1) }, on: device)),
        ]
        classifier = Linear(2048, 1008, on: device)
    }

    public func walk(_ visit: inout Walk) {
        for (name, layer) in stem { visit(name, layer) }
        for (name, block) in blocks { visit(name, block) }
        visit("fc", classifier)
    }

    /// Computes the outputs for uint8 images [B, 3, H, W] of any size, which the network resizes itself.
    public func callAsFunction(_ images: Tensor) -> Output {
        Precision.$current.withValue(.f32) {
            var x = (images.to(.F32).resizedAsTensorFlow1(Self.side, Self.side) - 128) / 128
            for (index, (name, layer)) in stem.enumerated() {
                x = within(name) { layer(index == 3 ? x.maximumPooled(stride: 2) : x) }
            }
            x = x.maximumPooled(stride: 2)
            var spatial = x
            for (name, block) in blocks {
                if name == "Mixed_6d" {
                    spatial = block.first(x).sliced(0..<Self.spatialChannels, axis: 1).permuted([0, 2, 3, 1])
                }
                x = within(name) { block(x) }
            }
            let pool = x.mean([2, 3])
            let logits = pool.matmul(classifier.weight.value.transposed(0, 1))
            return Output(pool: pool, spatial: spatial.flattened(from: 1), logits: logits)
        }
    }
}

extension Tensor {
    /// Resizes [B, C, H, W] in float32 -> [B, C, height, width] as TensorFlow 1's ResizeBilinear with its defaults.
    ///
    /// Output i reads position i H / height: no half-pixel centres, no aligned corners, no antialiasing. Positions are
    /// float32; interpolation is first between columns, then between rows, each as a + (b - a) w.
    public func resizedAsTensorFlow1(_ height: Int, _ width: Int) -> Tensor {
        let rows = SourcePositions(size(2), height, on: device)
        let columns = SourcePositions(size(3), width, on: device)
        func between(_ a: Tensor, _ b: Tensor, _ weight: Tensor) -> Tensor { a + (b - a) * weight }
        func betweenColumns(_ lines: Tensor) -> Tensor {
            between(
                lines.gathering(columns.lower, axis: 3), lines.gathering(columns.upper, axis: 3), columns.weight)
        }
        return between(
            betweenColumns(gathering(rows.lower, axis: 2)), betweenColumns(gathering(rows.upper, axis: 2)),
            rows.weight.expandingAxis(1))
    }
}

/// The two inputs of each output, and the weight of the second.
private struct SourcePositions {
    let lower: Tensor
    let upper: Tensor
    let weight: Tensor

    init(_ inputs: Int, _ outputs: Int, on device: Device) {
        let scale = Float(inputs) / Float(outputs)
        let positions = (0..<outputs).map { Float($0) * scale }
        lower = Tensor(positions.map { Int($0) }).to(device)
        upper = Tensor(positions.map { min(Int($0) + 1, inputs - 1) }).to(device)
        weight = Tensor(positions.map { $0 - $0.rounded(.down) }).to(device)
    }
}
