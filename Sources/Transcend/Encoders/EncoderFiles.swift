import Data
import Evaluation
import Formats
import Foundation
import Torch

/// Where the field keeps encoders: weights of DINOv2, or a TorchScript module with what it expects of pictures beside it.
public enum EncoderFiles {
    /// The encoder in a file; DINOv2 sees pictures as `grid` x `grid` patches.
    ///
    /// A program gets bytes as they are, unless a file of YAML lies beside it, named alike (`encoder.yaml` of `encoder.pt`): then
    /// numbers from 0 to 1, resized to `side`, less `mean`, over `deviation` of red, green and blue. Throws a `FileError` or a
    /// `ConfigurationError`.
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

    /// Patches on a side that DINOv2 sees of a picture where nothing else is said: one for 16 pixels, as in REPA.
    public static func grid(ofSide side: Int) -> Int { max(1, side / 16) }
}

/// An encoder whose features a store is to hold.
public struct StoredEncoder {
    /// What is stored of each picture.
    public let layout: FeatureLayout
    private let encoder: any PatchEncoder

    /// For squares of `resolution` pixels. Throws what the encoder does not allow.
    public init(_ encoder: any PatchEncoder, resolution: Int, hasMirrored: Bool) throws {
        let shape = try encoder.shape(side: resolution)
        layout = FeatureLayout(
            encoder: encoder.identity, tokens: shape.tokens, width: shape.width, hasMirrored: hasMirrored)
        self.encoder = encoder
    }

    /// The features of pictures, and of their mirror images if the layout has them. Throws a `FileError` for numbers that float16
    /// does not hold.
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
