import Formats
import Foundation
import Models
import Torch

/// Finds autoencoders in their usual forms: a diffusers folder, one file, or two files of the TAESD family.
public enum AutoencoderFiles {
    /// The names of the weights in a diffusers folder, in the order in which they are tried.
    static let weightNames = [
        "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.safetensors.index.json",
        "diffusion_pytorch_model.bin", "diffusion_pytorch_model.bin.index.json",
        "diffusion_pytorch_model.fp16.safetensors",
    ]

    static let expected =
        "expected are AutoencoderKL with diffusers' names (encoder.conv_in.weight, ...) and its config.json beside it, or "
        + "encoder and decoder of the TAESD family with "
        + TinyAutoencoder.Kind.allCases.map { "\($0.channels)" }.joined(separator: ", ")
        + " channels (0.weight, ... 14.weight and 1.weight, ... 19.weight)"

    /// Opens the autoencoder in a folder or file; its kind follows from the weights themselves.
    ///
    /// A folder holds `config.json` and the weights, or a pair of files like `taesd_encoder.pth` and
    /// `taesd_decoder.pth`; a file is either the weights of the former or one file of the latter. Throws a `FileError`
    /// that lists what was expected.
    public static func open(_ path: String, on device: Device = .cpu) throws -> any Autoencoder {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw FileError(path, "is not there", remedy: "give the folder or file of an autoencoder")
        }
        return try withErrors {
            if !isFolder.boolValue { return try fromFile(path, on: device) }
            let configuration = path + "/config.json"
            guard FileManager.default.fileExists(atPath: configuration) else {
                return try fromFile(encoder(in: path), on: device)
            }
            guard let name = weightNames.first(where: { FileManager.default.fileExists(atPath: path + "/" + $0) })
            else {
                throw FileError(path, "has a config.json but none of \(weightNames.joined(separator: ", "))")
            }
            return try fromFile(path + "/" + name, on: device)
        }
    }

    private static func fromFile(_ path: String, on device: Device) throws -> any Autoencoder {
        let weights = try openWeights(path: path)
        if weights.names.contains(where: { $0.hasPrefix("encoder.conv_in.") }) {
            let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
            return try AutoencoderKL(weights, configuration: folder + "/config.json", on: device)
        }
        if let both = weights.tinyParts {
            return try TinyAutoencoder(encoder: both.encoder, decoder: both.decoder, on: device)
        }
        if weights.isTinyEncoder {
            let decoder = try openWeights(path: partner(of: path, "encoder", "decoder"))
            return try TinyAutoencoder(encoder: weights, decoder: decoder, on: device)
        }
        if weights.isTinyDecoder {
            let encoder = try openWeights(path: partner(of: path, "decoder", "encoder"))
            return try TinyAutoencoder(encoder: encoder, decoder: weights, on: device)
        }
        let some = weights.names.sorted().prefix(3).joined(separator: ", ")
        throw FileError(path, "holds no known autoencoder (its tensors are \(some), ...); \(expected)")
    }

    /// The other file of a pair: its name has "decoder" where this one's has "encoder", or the reverse.
    private static func partner(of path: String, _ part: String, _ other: String) throws -> String {
        let url = URL(fileURLWithPath: path)
        let name = url.lastPathComponent.replacingOccurrences(of: part, with: other)
        let found = url.deletingLastPathComponent().path + "/" + name
        guard name != url.lastPathComponent, FileManager.default.fileExists(atPath: found) else {
            throw FileError(
                path, "is an \(part) alone",
                remedy: "put the \(other) beside it, named alike (taesd_encoder.pth, taesd_decoder.pth)")
        }
        return found
    }

    /// The only file in a folder whose name says that it is an encoder.
    private static func encoder(in folder: String) throws -> String {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { name in
            name.contains("encoder") && [".pth", ".pt", ".bin", ".safetensors"].contains(where: name.hasSuffix)
        }.sorted()
        guard names.count <= 1 else {
            throw FileError(folder, "holds \(names.joined(separator: ", "))", remedy: "give the path of one of them")
        }
        guard let name = names.first else {
            throw FileError(folder, "holds no autoencoder; \(expected)")
        }
        return folder + "/" + name
    }
}
