import Torch

/// The KL autoencoder of the Stable Diffusion family (Rombach et al. 2022), with the names of diffusers' checkpoints.
///
/// Its encoder outputs the mean and log-variance of a normal distribution for each latent element.
public struct AutoencoderKL: Autoencoder {
    /// The relevant fields of diffusers' `config.json`, with its defaults.
    public struct Configuration: Sendable, Equatable {
        /// The channels at each resolution, finest first; the side is halved between two of them. Multiples of
        /// `groups`.
        public var widths = [64]
        /// The number of residual blocks at each resolution of the encoder; the decoder has one more.
        public var layersPerBlock = 1
        /// The number of latent channels C.
        public var latentChannels = 4
        /// The number of groups of every GroupNorm.
        public var groups = 32
        /// The side of its training images, in pixels.
        public var sampleSize: Int?
        /// Whether a 1 x 1 convolution follows the encoder.
        public var hasQuantConvolution = true
        /// Whether a 1 x 1 convolution precedes the decoder.
        public var hasPostQuantConvolution = true
        /// Whether there is attention at the coarsest resolution.
        public var hasAttention = true
        /// The normalisation: `shift_factor` and `scaling_factor`, or `latents_mean` and `latents_std`.
        public var normalisation = LatentNormalisation(scale: [0.18215])

        /// Creates diffusers' default configuration.
        public init() {}

        /// The reason why no network can be built, in one sentence; nil if one can.
        public var problem: String? {
            let all = [
                ("latent_channels", latentChannels), ("layers_per_block", layersPerBlock), ("norm_num_groups", groups),
            ]
            if let (name, value) = all.first(where: { !(1...256).contains($0.1) }) {
                return "\(name) is \(value); a number from 1 to 256 is expected"
            }
            if !(1...8).contains(widths.count) {
                return "block_out_channels has \(widths.count) numbers; 1 to 8 are expected"
            }
            if let width = widths.first(where: { !(1...1 << 13).contains($0) || $0 % groups != 0 }) {
                return "block_out_channels has \(width); multiples of \(groups) (norm_num_groups) are expected"
            }
            let lengths = [normalisation.shift.count, normalisation.scale.count]
            if lengths.contains(where: { $0 != 1 && $0 != latentChannels }) {
                return "latents are normalised by \(lengths) numbers; one or \(latentChannels) are expected"
            }
            if let scale = normalisation.scale.first(where: { $0 == 0 || !$0.isFinite }) {
                return "latents are scaled by \(scale); a number other than 0 is expected"
            }
            return nil
        }
    }

    /// The configuration, which determines all shapes.
    public let configuration: Configuration
    let encoder: KLEncoder
    let decoder: KLDecoder
    let quantConvolution: Conv2d?
    let postQuantConvolution: Conv2d?

    /// Builds the networks without setting their parameters; `configuration.problem` must be nil.
    public init(_ configuration: Configuration, on device: Device = .cpu) {
        let c = configuration
        self.configuration = c
        encoder = KLEncoder(c, on: device)
        decoder = KLDecoder(c, on: device)
        let (moments, latents) = (2 * c.latentChannels, c.latentChannels)
        quantConvolution = c.hasQuantConvolution ? Conv2d(moments, moments, kernel: 1, on: device) : nil
        postQuantConvolution = c.hasPostQuantConvolution ? Conv2d(latents, latents, kernel: 1, on: device) : nil
    }

    /// Visits the parameters in the order of diffusers' checkpoints.
    public func walk(_ visit: inout Walk) {
        visit("encoder", encoder)
        visit("decoder", decoder)
        visit("quant_conv", quantConvolution)
        visit("post_quant_conv", postQuantConvolution)
    }

    /// The name of the class in diffusers.
    public var name: String { "AutoencoderKL" }
    /// The number of latent channels C.
    public var latentChannels: Int { configuration.latentChannels }
    /// The downsampling factor: 2 for each level but the last.
    public var sideRatio: Int { 1 << (configuration.widths.count - 1) }
    /// The configuration's `sample_size`.
    public var tileSide: Int? { configuration.sampleSize }
    /// The configuration's normalisation.
    public var normalisation: LatentNormalisation { configuration.normalisation }
    /// True: the encoder outputs means and log-variances.
    public var hasDistribution: Bool { true }

    /// Encodes images [B, 3, H, W] from -1 to 1 -> [B, 2 C, h, w], means, then log-variances.
    public func moments(of images: Tensor) -> Tensor {
        let moments = encoder(images)
        return (quantConvolution?(moments) ?? moments).to(.F32)
    }

    /// Decodes latents [B, C, h, w] in the autoencoder's own scale -> images [B, 3, H, W], about from -1 to 1.
    public func images(of latents: Tensor) -> Tensor {
        decoder(postQuantConvolution?(latents) ?? latents).to(.F32)
    }
}

/// The encoder: images [B, 3, H, W] -> moments [B, 2 C, h, w].
struct KLEncoder: Module {
    let input: Conv2d
    let levels: [KLLevel]
    let middle: KLMiddle
    let norm: GroupNorm
    let output: Conv2d

    init(_ c: AutoencoderKL.Configuration, on device: Device) {
        let (first, last) = (c.widths.first!, c.widths.last!)
        input = Conv2d(3, first, kernel: 3, padding: 1, on: device)
        levels = KLLevel.chain(c.widths, layers: c.layersPerBlock, change: .halve, c, on: device)
        middle = KLMiddle(last, c, on: device)
        norm = GroupNorm(groups: c.groups, last, epsilon: klEpsilon, on: device)
        output = Conv2d(last, 2 * c.latentChannels, kernel: 3, padding: 1, on: device)
    }

    func walk(_ visit: inout Walk) {
        visit("conv_in", input)
        visit("down_blocks", levels)
        visit("mid_block", middle)
        visit("conv_norm_out", norm)
        visit("conv_out", output)
    }

    func callAsFunction(_ images: Tensor) -> Tensor {
        let x = levels.run(input(images.channelsLast()), named: "down_blocks")
        return output(norm(within("mid_block") { middle(x) }).silu())
    }
}

/// The decoder: latents [B, C, h, w] -> images [B, 3, H, W]; it mirrors the encoder, with one more residual block at
/// each level.
struct KLDecoder: Module {
    let input: Conv2d
    let middle: KLMiddle
    let levels: [KLLevel]
    let norm: GroupNorm
    let output: Conv2d

    init(_ c: AutoencoderKL.Configuration, on device: Device) {
        let (first, last) = (c.widths.last!, c.widths.first!)
        input = Conv2d(c.latentChannels, first, kernel: 3, padding: 1, on: device)
        middle = KLMiddle(first, c, on: device)
        levels = KLLevel.chain(c.widths.reversed(), layers: c.layersPerBlock + 1, change: .double, c, on: device)
        norm = GroupNorm(groups: c.groups, last, epsilon: klEpsilon, on: device)
        output = Conv2d(last, 3, kernel: 3, padding: 1, on: device)
    }

    func walk(_ visit: inout Walk) {
        visit("conv_in", input)
        visit("mid_block", middle)
        visit("up_blocks", levels)
        visit("conv_norm_out", norm)
        visit("conv_out", output)
    }

    func callAsFunction(_ latents: Tensor) -> Tensor {
        let x = input(latents.channelsLast())
        return output(norm(levels.run(within("mid_block") { middle(x) }, named: "up_blocks")).silu())
    }
}
