import Torch

/// A trained pair of networks between images and the latents that diffusion networks see.
///
/// Images are [B, 3, H, W] with values from -1 to 1 (byte / 127.5 - 1), H and W multiples of `sideRatio`. Latents are
/// [B, C, H / sideRatio, W / sideRatio], in the autoencoder's own scale on the way out of `encode` and into `decode`;
/// `normalisation` leads from there to what a diffusion network is trained on, and back.
public protocol Autoencoder: Module {
    /// Its family as the field calls it, such as "AutoencoderKL".
    var name: String { get }
    /// C of the latents.
    var latentChannels: Int { get }
    /// Pixels of an image's side in one latent cell.
    var sideRatio: Int { get }
    /// The side of the images that it was trained on, in pixels, which tiles have; nil if nothing says so.
    var tileSide: Int? { get }
    /// What leads to the latents that diffusion networks are trained on.
    var normalisation: LatentNormalisation { get }
    /// Whether an image has a distribution of latents, not one alone.
    var hasDistribution: Bool { get }

    /// Images -> what the encoder says of their latents: [B, 2 C, h, w] with means, then log-variances, or [B, C, h, w]
    /// where there is no distribution; float32, with products in the current precision.
    func moments(of images: Tensor) -> Tensor
    /// Latents in the autoencoder's own scale -> images, about from -1 to 1; float32, with products in the current
    /// precision.
    func images(of latents: Tensor) -> Tensor
}

extension Autoencoder {
    /// The distribution of the latents of images, without gradient; in tiles of about `tileSide` pixels where the images are
    /// larger, if one is given.
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

    /// The images of latents in the autoencoder's own scale, without gradient; in tiles as those of `encode`, if a side
    /// is given: for images that do not fit into memory as a whole.
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

    /// The side of the tiles for images of a side in pixels; nil where they are small enough to be seen as a whole.
    public func tileSide(forSide side: Int) -> Int? { side > 1024 ? tileSide ?? 512 : nil }

    /// How many images of a side in pixels go through it together. On the CPU more would not be faster: their activations
    /// leave the caches, and each is mapped anew by the system.
    public func imagesTogether(ofSide side: Int, on device: Device) -> Int {
        max(1, (device.kind == .cpu ? 1 << 16 : 1 << 20) / (side * side))
    }

    /// Latent cells of a tile's side: a multiple of 4, so that a quarter is a whole number.
    private func tileCells(_ side: Int) -> Int { max(1, side / sideRatio / 4) * 4 }
}

/// A normal distribution of latents with a deviation for each element, or latents that are certain.
public struct Posterior: Sendable {
    /// diffusers' bounds of log-variances.
    private static let logVariances = (low: -30.0, high: 20.0)

    /// [B, C, h, w]; the most likely latents.
    public let mean: Tensor
    /// [B, C, h, w], from -30 to 20; nil where the latents are certain.
    public let logVariance: Tensor?

    /// `moments` [B, C or 2 C, h, w] of any type.
    init(moments: Tensor, channels: Int) {
        let moments = moments.to(.F32)
        mean = moments.sliced(0..<channels, axis: 1).contiguous()
        logVariance =
            moments.size(1) == channels
            ? nil
            : moments.sliced(channels..<2 * channels, axis: 1).contiguous()
                .clamped(Self.logVariances.low, Self.logVariances.high)
    }

    /// [B, C, h, w], standard deviations; nil where the latents are certain.
    public var deviation: Tensor? { logVariance.map { ($0 * 0.5).exp() } }

    /// mean + deviation * noise, with standard normal noise [B, C, h, w].
    public func sample(noise: Tensor) -> Tensor { deviation.map { mean + $0 * noise } ?? mean }
}

/// Between an autoencoder's own scale and what a diffusion network sees: (z - shift) * scale.
public struct LatentNormalisation: Codable, Sendable, Equatable {
    /// One number for all channels, or one for each.
    public var shift: [Double]
    /// One number for all channels, or one for each; none is zero.
    public var scale: [Double]

    /// Leaves latents as they are unless told otherwise.
    public init(shift: [Double] = [0], scale: [Double] = [1]) {
        self.shift = shift
        self.scale = scale
    }

    /// Latents [B, C, h, w] in the autoencoder's own scale -> what a diffusion network sees.
    public func normalised(_ latents: Tensor) -> Tensor { scaled(shifted(latents, by: -1), { $0 }) }

    /// The way back: z / scale + shift.
    public func denormalised(_ latents: Tensor) -> Tensor { shifted(scaled(latents, { 1 / $0 }), by: 1) }

    private func shifted(_ latents: Tensor, by sign: Double) -> Tensor {
        shift == [0] ? latents : latents + broadcast(shift.map { sign * $0 }, latents)
    }

    private func scaled(_ latents: Tensor, _ factor: (Double) -> Double) -> Tensor {
        scale == [1] ? latents : latents * broadcast(scale.map(factor), latents)
    }

    /// One number, or a number for each channel, as [1, C, 1, 1].
    private func broadcast(_ values: [Double], _ latents: Tensor) -> Tensor {
        Tensor(values, shape: [1, values.count, 1, 1]).to(latents.type).to(latents.device)
    }
}
