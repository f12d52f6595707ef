import Data
import Evaluation
import Formats
import Foundation
import Torch

/// Opens encoders in their usual forms: weights of DINOv2, or a TorchScript module with its input normalisation beside
/// it.
public enum EncoderFiles {
    /// Opens the encoder in a file; DINOv2 sees pictures as `grid` x `grid` patches.
    ///
    /// A TorchScript module receives uint8 images, unless a YAML file of the same name lies beside it (`encoder.yaml`
    /// for `encoder.pt`): then it receives numbers from 0 to 1, resized to `side`, minus `mean`, divided by `deviation`
    /// of red, green and blue. Throws a `FileError` or a `ConfigurationError`.
    public static func open(_ path: String, grid: Int, on device: Device = .cpu) throws -> any PatchEncoder {
        try openEncoder(path: path, grid: grid, normalisation: normalisation(ofProgram: path), on: device)
    }

    private static func normalisation(ofProgram path: String) throws -> PictureNormalisation? {
        let file = URL(fileURLWithPath: path).deletingPathExtension().path + ".yaml"
        guard FileManager.default.fileExists(atPath: file) else { return nil }
        let document = try YAMLDocument(path: file)
        var result = PictureNormalisation()
        for leaf in document.leaves {
            let numbers = leaf.value.elements?.compactMap(\.double)
            switch (leaf.key, leaf.value.int, numbers) {
            case ("side", let side?, _) where (1...1 << 14).contains(side): result.side = side
            case ("mean", _, let mean?) where mean.count == 3: result.mean = mean
            case ("deviation", _, let deviation?) where deviation.count == 3 && deviation.allSatisfy { $0 > 0 }:
                result.deviation = deviation
            case ("side", _, _):
                throw document.error(leaf.line, leaf.column, "side is a number of pixels from 1 to \(1 << 14)")
            case ("mean", _, _), ("deviation", _, _):
                let above = leaf.key == "deviation" ? ", above 0" : ""
                throw document.error(
                    leaf.line, leaf.column, "\(leaf.key) is three numbers\(above), those of red, green and blue")
            default:
                throw document.error(
                    leaf.line, leaf.column, "there is no \(leaf.key); an encoder has side, mean and deviation")
            }
        }
        return result
    }

    /// DINOv2's default number of patches on a side of a picture: one per 16 pixels, as in REPA.
    public static func grid(ofSide side: Int) -> Int { max(1, side / 16) }
}

/// An encoder whose features are stored.
public struct StoredEncoder {
    /// The layout of the stored features.
    public let layout: FeatureLayout
    private let encoder: any PatchEncoder

    /// Creates an encoder for squares of `resolution` pixels. Throws if the encoder does not support it.
    public init(_ encoder: any PatchEncoder, resolution: Int, hasMirrored: Bool) throws {
        let shape = try encoder.shape(side: resolution)
        layout = FeatureLayout(
            encoder: encoder.identity, tokens: shape.tokens, width: shape.width, hasMirrored: hasMirrored)
        self.encoder = encoder
    }

    /// The features of pictures, and of their mirror images if the layout has them. Throws a `FileError` for numbers
    /// that float16 cannot represent.
    public func encode(_ pictures: [RGBImage]) throws -> EncodedFeatures {
        EncodedFeatures(
            plain: try bytes(of: pictures), mirrored: layout.hasMirrored ? try bytes(of: pictures.map(\.mirrored)) : [])
    }

    private func bytes(of pictures: [RGBImage]) throws -> [UInt8] {
        guard let side = pictures.first?.width else { return [] }
        let numbers: [Float] = try withErrors {
            try encoder(Tensor(pictures.flatMap(\.planes), shape: [pictures.count, 3, side, side])).values()
        }
        return try recordBytes(numbers, as: .F16, name: "the output of \(layout.name)")
    }
}
