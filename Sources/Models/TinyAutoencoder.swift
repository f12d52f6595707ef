import Torch

/// An autoencoder of the TAESD family (https://github.com/madebyollin/taesd): small, without a distribution; its
/// latents are already in the scale that diffusion networks see.
///
/// The names are those of the two published files, each with one flat sequence of layers, below `encoder` and
/// `decoder`; layers without weights are numbered too.
public struct TinyAutoencoder: Autoencoder {
    /// The members of the family with published weights: TAESD (and TAESDXL), TAESD3 and TAEF1, TAEF2.
    public enum Kind: Int, CaseIterable, Sendable {
        /// TAESD and TAESDXL, with 4 latent channels.
        case taesd = 4
        /// TAESD3 and TAEF1, with 16 latent channels.
        case taef1 = 16
        /// TAEF2, with pooled blocks at latent resolution, through which each latent cell depends on all pixels.
        case taef2 = 32

        /// The number of latent channels.
        public var channels: Int { rawValue }
        /// The names of the members with this shape.
        public var name: String {
            switch self {
            case .taesd: "TAESD"
            case .taef1: "TAEF1 or TAESD3"
            case .taef2: "TAEF2"
            }
        }
        var isPooled: Bool { self == .taef2 }
    }

    /// The member, which determines all shapes.
    public let kind: Kind
    let encoder: LayerSequence
    let decoder: LayerSequence

    /// Builds the networks without setting their parameters.
    public init(_ kind: Kind, on device: Device = .cpu) {
        self.kind = kind
        encoder = Self.encoder(kind, on: device)
        decoder = Self.decoder(kind, on: device)
    }

    /// Visits the encoder, then the decoder.
    public func walk(_ visit: inout Walk) {
        visit("encoder", encoder)
        visit("decoder", decoder)
    }

    /// The name of the member.
    public var name: String { kind.name }
    /// The number of latent channels: 4, 16 or 32.
    public var latentChannels: Int { kind.channels }
    /// The downsampling factor 8: three strides of 2.
    public var sideRatio: Int { 8 }
    /// Nil: the published weights do not say.
    public var tileSide: Int? { nil }
    /// The identity: the latents are already in the scale of diffusion networks.
    public var normalisation: LatentNormalisation { LatentNormalisation() }
    /// False: the family encodes images directly as latents.
    public var hasDistribution: Bool { false }

    /// Encodes images [B, 3, H, W] from -1 to 1 -> latents [B, C, H / 8, W / 8]; the weights expect images from 0 to 1.
    public func moments(of images: Tensor) -> Tensor { encoder(((images + 1) / 2).channelsLast()).to(.F32) }

    /// Decodes latents [B, C, h, w] -> images [B, 3, 8 h, 8 w], about from -1 to 1.
    public func images(of latents: Tensor) -> Tensor { decoder(latents.channelsLast()).to(.F32) * 2 - 1 }

    private static let width = 64

    private static func convolution(
        _ inputs: Int, _ outputs: Int, stride: Int = 1, hasBias: Bool = true, on device: Device
    ) -> Conv2d {
        Conv2d(inputs, outputs, kernel: 3, stride: stride, padding: 1, hasBias: hasBias, on: device)
    }

    private static func encoder(_ kind: Kind, on device: Device) -> LayerSequence {
        let input = convolution(3, width, on: device)
        var layers: [LayerSequence.Layer] = [.convolution(input), .block(TinyBlock(width, on: device))]
        for level in 0..<3 {
            let isPooled = kind.isPooled && level == 2
            layers += [.convolution(convolution(width, width, stride: 2, hasBias: false, on: device))]
            layers += (0..<3).map { _ in .block(TinyBlock(width, isPooled: isPooled, on: device)) }
        }
        let output = convolution(width, kind.channels, on: device)
        return LayerSequence(layers: layers + [.convolution(output)])
    }

    private static func decoder(_ kind: Kind, on device: Device) -> LayerSequence {
        let input = convolution(kind.channels, width, on: device)
        var layers: [LayerSequence.Layer] = [.bound, .convolution(input), .relu]
        for level in 0..<3 {
            let isPooled = kind.isPooled && level == 0
            layers += (0..<3).map { _ in .block(TinyBlock(width, isPooled: isPooled, on: device)) }
            layers += [.double, .convolution(convolution(width, width, hasBias: false, on: device))]
        }
        let output = convolution(width, 3, on: device)
        return LayerSequence(layers: layers + [.block(TinyBlock(width, on: device)), .convolution(output)])
    }
}

/// A sequence of layers, named by their indices.
struct LayerSequence: Module {
    enum Layer {
        case convolution(Conv2d)
        case block(TinyBlock)
        case relu
        /// The bound 3 tanh(x / 3).
        case bound
        /// Doubles the side by repeating every value 2 x 2.
        case double
    }

    let layers: [Layer]

    func walk(_ visit: inout Walk) {
        for (number, layer) in layers.enumerated() {
            switch layer {
            case .convolution(let convolution): visit("\(number)", convolution)
            case .block(let block): visit("\(number)", block)
            case .relu, .bound, .double: break
            }
        }
    }

    func callAsFunction(_ x: Tensor) -> Tensor {
        layers.enumerated().reduce(x) { x, layer in
            within("\(layer.offset)") {
                switch layer.element {
                case .convolution(let convolution): convolution(x)
                case .block(let block): block(x)
                case .relu: x.relu()
                case .bound: (x / 3).tanh() * 3
                case .double: x.repeated(2)
                }
            }
        }
    }
}

/// A block relu(x + three convolutions of x), in TAEF2's coarsest blocks after x + pool(x): [B, 64, H, W] -> same.
struct TinyBlock: Module {
    let convolutions: [Conv2d]
    let pool: TinyPool?

    init(_ width: Int, isPooled: Bool = false, on device: Device) {
        convolutions = (0..<3).map { _ in Conv2d(width, width, kernel: 3, padding: 1, on: device) }
        pool = isPooled ? TinyPool(width, on: device) : nil
    }

    func walk(_ visit: inout Walk) {
        for (index, convolution) in convolutions.enumerated() { visit("conv.\(2 * index)", convolution) }
        visit("pool", pool)
    }

    func callAsFunction(_ x: Tensor) -> Tensor {
        let x = x.to(.F32)
        let y = pool.map { x + $0(x) } ?? x
        let change = convolutions.dropFirst().reduce(convolutions[0](y)) { $1($0.relu()) }
        return (y + change).relu()
    }
}

/// The pooled branch: 1 x 1 convolution to four times the channels, GroupNorm over the whole picture, ReLU, and back.
struct TinyPool: Module {
    let first: Conv2d
    let norm: GroupNorm
    let second: Conv2d

    init(_ width: Int, on device: Device) {
        first = Conv2d(width, 4 * width, kernel: 1, hasBias: false, on: device)
        norm = GroupNorm(groups: 4, 4 * width, epsilon: 1e-5, on: device)
        second = Conv2d(4 * width, width, kernel: 1, hasBias: false, on: device)
    }

    func walk(_ visit: inout Walk) {
        visit("0", first)
        visit("1", norm)
        visit("3", second)
    }

    func callAsFunction(_ x: Tensor) -> Tensor { second(norm(first(x)).relu()) }
}
