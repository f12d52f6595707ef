import Data
import Formats
import Models
import Torch

/// Encodes pictures with an autoencoder: means and, if it has a distribution, standard deviations.
public struct LatentEncoder: PictureEncoder {
    /// The layout [C or 2 C, R, R], with R the side of the latents.
    public let layout: RecordLayout
    /// The autoencoder's identity and normalisation.
    public let encoding: LatentEncoding?

    private let autoencoder: any Autoencoder
    private let precision: Precision
    private let tileSide: Int?
    private let device: Device

    /// Creates an encoder for squares of `resolution` pixels; `type` is F16 or F32, and the autoencoder is on `device`.
    /// Throws a `ConfigurationError` if the autoencoder does not support that size.
    public init(
        _ autoencoder: any Autoencoder, resolution: Int, type: ElementType, hasMirrored: Bool = false,
        precision: Precision = .f32, on device: Device = .cpu
    ) throws {
        let ratio = autoencoder.sideRatio
        guard resolution % ratio == 0 else {
            throw ConfigurationError(
                "--resolution \(resolution): \(autoencoder.name) takes sides that are multiples of \(ratio)")
        }
        layout = RecordLayout(
            content: autoencoder.hasDistribution ? .meanAndDeviation : .mean, type: type,
            channels: autoencoder.latentChannels, side: resolution / ratio, hasMirrored: hasMirrored)
        encoding = autoencoder.encoding(precision: precision)
        tileSide = autoencoder.tileSide(forSide: resolution)
        (self.autoencoder, self.precision, self.device) = (autoencoder, precision, device)
    }

    /// The means, then standard deviations of each picture. Throws a `FileError` for numbers that the type cannot
    /// represent.
    public func encode(_ pictures: [RGBImage]) throws -> [UInt8] {
        let part = autoencoder.imagesTogether(ofSide: layout.side * autoencoder.sideRatio, on: device)
        let numbers: [Float] = try withErrors {
            Precision.$current.withValue(precision) {
                stride(from: 0, to: pictures.count, by: part).flatMap { start in
                    records(of: pictures[start..<min(start + part, pictures.count)])
                }
            }
        }
        return try recordBytes(numbers, as: layout.type, name: "the output of \(autoencoder.name)")
    }

    private func records(of pictures: ArraySlice<RGBImage>) -> [Float] {
        let side = layout.side * autoencoder.sideRatio
        let bytes = Tensor(pictures.flatMap(\.planes), shape: [pictures.count, 3, side, side]).to(device)
        let posterior = autoencoder.encode(bytes.to(.F32) / 127.5 - 1, tileSide: tileSide)
        let parts = [posterior.mean] + (posterior.deviation.map { [$0] } ?? [])
        return Tensor.concatenate(parts, axis: 1).values()
    }
}
