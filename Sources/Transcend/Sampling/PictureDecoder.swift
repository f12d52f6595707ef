import Data
import Foundation
import Models
import Torch

/// Converts a diffusion network's output to pictures: pixels directly, latents through their autoencoder.
public struct PictureDecoder: Sendable {
    /// The reason why the pictures may look wrong, in one sentence; nil if there is none.
    public let warning: String?
    /// The identity of the decoding: the autoencoder's name and a checksum of its decoder, or "pixels".
    package let identity: String

    private let autoencoder: (any Autoencoder)?
    private let normalisation: LatentNormalisation

    /// Creates a decoder for a network of pixels (1 or 3 channels), or of latents: of the autoencoder in `latents`, or
    /// if that is not known, of any autoencoder with as many channels.
    ///
    /// Throws a `ConfigurationError` if an autoencoder is missing, superfluous or has other channels, and any error of
    /// `AutoencoderFiles.open`.
    public init(channels: Int, latents: LatentEncoding?, autoencoder path: String?, on device: Device) throws {
        if latents == nil, [1, 3].contains(channels) {
            if let path { throw ConfigurationError("the autoencoder \(path): the network draws pixels; omit it") }
            (autoencoder, normalisation, warning, identity) = (nil, LatentNormalisation(), nil, "pixels")
            return
        }
        guard let path else {
            let whose = latents.map { " (\($0.identity))" } ?? ""
            throw ConfigurationError(
                "the network draws latents of \(channels) channels\(whose); give their autoencoder: --autoencoder PATH")
        }
        let autoencoder = try AutoencoderFiles.open(path, on: device)
        guard autoencoder.latentChannels == channels else {
            throw ConfigurationError(
                "the autoencoder \(path): its latents have \(autoencoder.latentChannels) channels, those of the network "
                    + "\(channels)")
        }
        warning = latents.flatMap { Self.warning(of: $0, decodedBy: autoencoder, at: path) }
        self.autoencoder = autoencoder
        normalisation = latents?.normalisation ?? autoencoder.normalisation
        identity = autoencoder.decoderIdentity(normalisation)
    }

    private static func warning(
        of latents: LatentEncoding, decodedBy autoencoder: any Autoencoder, at path: String
    ) -> String? {
        let own = autoencoder.encoding(precision: .f32).identity
        guard latents.weights != nil, latents.identity != own else { return nil }
        return "the network draws latents of \(latents.identity), and \(path) is \(own)"
    }

    /// The pictures for a network's output [B, C, R, R], with products in the current precision.
    func pictures(_ samples: Tensor) -> [RGBImage] {
        guard let autoencoder else { return Self.images(samples) }
        let latents = normalisation.denormalised(samples).to(.F32)
        let side = latents.size(2) * autoencoder.sideRatio
        let part = autoencoder.imagesTogether(ofSide: side, on: latents.device)
        return stride(from: 0, to: latents.size(0), by: part).flatMap { start in
            let end = min(start + part, latents.size(0))
            return Self.images(
                autoencoder.decode(
                    latents.sliced(start..<end, axis: 0), tileSide: autoencoder.tileSide(forSide: side)))
        }
    }

    /// Converts images [B, 1 or 3, H, W] from -1 to 1: clamp(255 (x + 1) / 2, 0, 255), truncated as in the published
    /// script.
    static func images(_ images: Tensor) -> [RGBImage] {
        let (height, width) = (images.size(2), images.size(3))
        let size = images.size(1) * height * width
        let values: [Float] = images.values()
        return stride(from: 0, to: values.count, by: size).map {
            RGBImage(planes: values[$0..<$0 + size].map(PixelRange.signed.byte), width: width, height: height)
        }
    }
}
