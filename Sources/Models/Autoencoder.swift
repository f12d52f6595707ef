import Torch

/// A trained encoder and decoder between images and latents.
///
/// Images are [B, 3, H, W] with values from -1 to 1 (byte / 127.5 - 1), H and W multiples of `sideRatio`. Latents are
/// [B, C, H / sideRatio, W / sideRatio], in the autoencoder's own scale as output of `encode` and input of `decode`;
/// `normalisation` converts between that scale and the one that diffusion networks see.
public protocol Autoencoder: Module {
    /// The usual name of its family, such as "AutoencoderKL".
    var name: String { get }
    /// The number of latent channels C.
    var latentChannels: Int { get }
    /// The downsampling factor: pixels per latent cell along a side.
    var sideRatio: Int { get }
    /// The side of its training images in pixels, used for tiles; nil if not known.
    var tileSide: Int? { get }
    /// The normalisation of the latents for diffusion networks.
    var normalisation: LatentNormalisation { get }
    /// Whether it encodes an image as a distribution of latents rather than as one latent.
    var hasDistribution: Bool { get }

    /// The encoder's output for images: [B, 2 C, h, w] with means, then log-variances, or [B, C, h, w] without a
    /// distribution; float32, with products in the current precision.
    func moments(of images: Tensor) -> Tensor
    /// Decodes latents in the autoencoder's own scale into images, about from -1 to 1; float32, with products in the
    /// current precision.
    func images(of latents: Tensor) -> Tensor
}

extension Autoencoder {
    /// The distribution of the latents of images, without gradients; if a tile side is given, larger images are encoded
    /// in tiles of about that many pixels.
    public func encode(_ images: Tensor, tileSide: Int? = nil) -> Posterior {
        let all = withoutGradients {
            within("encoder") {
                guard let tileSide else { return moments(of: images) }
                let cells = tileCells(tileSide)
                let tiling = Tiling(inputSide: cells * sideRatio, outputSide: cells)
                return tiling.map(images) { moments(of: $0) }
            }
        }
        return Posterior(moments: all, channels: latentChannels)
    }

    /// Decodes latents in the autoencoder's own scale, without gradients; in tiles like those of `encode` if a side is
    /// given, for images that do not fit into memory as a whole.
    public func decode(_ latents: Tensor, tileSide: Int? = nil) -> Tensor {
        withoutGradients {
            within("decoder") {
                guard let tileSide else { return self.images(of: latents) }
                let cells = tileCells(tileSide)
                let tiling = Tiling(inputSide: cells, outputSide: cells * sideRatio)
                return tiling.map(latents) { images(of: $0) }
            }
        }
    }

    /// The tile side for images with a given side in pixels; nil if they are small enough to be processed as a whole.
    public func tileSide(forSide side: Int) -> Int? { side > 1024 ? tileSide ?? 512 : nil }

    /// The number of images with a given side in pixels to process together. On the CPU more would not be faster: the
    /// activations would not fit into the caches, and the system would map them again for each batch.
    public func imagesTogether(ofSide side: Int, on device: Device) -> Int {
        max(1, (device.kind == .cpu ? 1 << 16 : 1 << 20) / (side * side))
    }

    /// The side of a tile in latent cells: a multiple of 4, so that a quarter is a whole number.
    private func tileCells(_ side: Int) -> Int { max(1, side / sideRatio / 4) * 4 }
}

/// A normal distribution of latents with a standard deviation for each element, or latents without uncertainty.
public struct Posterior: Sendable {
    /// diffusers' bounds for log-variances.
    private static let logVariances = (low: -30.0, high: 20.0)

    /// The mean latents [B, C, h, w].
    public let mean: Tensor
    /// The log-variances [B, C, h, w], from -30 to 20; nil for latents without uncertainty.
    public let logVariance: Tensor?

    /// Creates the distribution from `moments` [B, C or 2 C, h, w] of any type.
    init(moments: Tensor, channels: Int) {
        let moments = moments.to(.F32)
        mean = moments.sliced(0..<channels, axis: 1).contiguous()
        logVariance =
            moments.size(1) == channels
            ? nil
            : moments.sliced(channels..<2 * channels, axis: 1).contiguous()
                .clamped(Self.logVariances.low, Self.logVariances.high)
    }

    /// The standard deviations [B, C, h, w]; nil for latents without uncertainty.
    public var deviation: Tensor? { logVariance.map { ($0 * 0.5).exp() } }

    /// A sample mean + deviation * noise, with standard normal noise [B, C, h, w].
    public func sample(noise: Tensor) -> Tensor { deviation.map { mean + $0 * noise } ?? mean }
}

/// The normalisation of latents from an autoencoder's own scale for a diffusion network: (z - shift) * scale.
public struct LatentNormalisation: Codable, Sendable, Equatable {
    /// The shift, one number for all channels or one for each.
    public var shift: [Double]
    /// The scale, one number for all channels or one for each; never zero.
    public var scale: [Double]

    /// Creates a normalisation; the default is the identity.
    public init(shift: [Double] = [0], scale: [Double] = [1]) {
        self.shift = shift
        self.scale = scale
    }

    /// Normalises latents [B, C, h, w] in the autoencoder's own scale for a diffusion network.
    public func normalised(_ latents: Tensor) -> Tensor { scaled(shifted(latents, by: -1), { $0 }) }

    /// The inverse of `normalised`: z / scale + shift.
    public func denormalised(_ latents: Tensor) -> Tensor { shifted(scaled(latents, { 1 / $0 }), by: 1) }

    private func shifted(_ latents: Tensor, by sign: Double) -> Tensor {
        shift == [0] ? latents : latents + broadcast(shift.map { sign * $0 }, latents)
    }

    private func scaled(_ latents: Tensor, _ factor: (Double) -> Double) -> Tensor {
        scale == [1] ? latents : latents * broadcast(scale.map(factor), latents)
    }

    /// One number, or one for each channel, as [1, C, 1, 1].
    private func broadcast(_ values: [Double], _ latents: Tensor) -> Tensor {
        Tensor(values, shape: [1, values.count, 1, 1]).to(latents.type).to(latents.device)
    }
}
