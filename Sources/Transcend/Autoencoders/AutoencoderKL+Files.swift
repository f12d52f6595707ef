import Formats
import Foundation
import Models
import Torch

extension AutoencoderKL {
    /// Creates the autoencoder from diffusers' weights and the `config.json` at a path.
    init(_ weights: some NamedTensors, configuration path: String, on device: Device) throws {
        guard FileManager.default.fileExists(atPath: path) else {
            throw FileError(
                weights.path, "is an AutoencoderKL without its config.json, which says shapes and scale",
                remedy: "put it into the same folder")
        }
        self.init(try Configuration(diffusers: path), on: device)
        try weights.withCurrentAttention.load(parameters().tensors)
    }
}

extension NamedTensors {
    /// Renames the attention layers of old files, which are called query, key, value and proj_attn; in some, the
    /// matrices are 1 x 1 convolutions.
    fileprivate var withCurrentAttention: TensorSection {
        let names = ["query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"]
        return mapped { name, shape in
            var parts = name.components(separatedBy: ".")
            guard name.contains(".mid_block.attentions."), parts.count >= 2 else { return (name, shape) }
            parts[parts.count - 2] = names[parts[parts.count - 2]] ?? parts[parts.count - 2]
            let isConvolution = shape.count == 4 && shape[2...] == [1, 1]
            return (parts.joined(separator: "."), isConvolution ? Array(shape[..<2]) : shape)
        }
    }
}

extension AutoencoderKL.Configuration {
    /// Reads diffusers' `config.json`; throws a `FileError` if it belongs to another network or is invalid.
    init(diffusers path: String) throws {
        self.init()
        let reader = try DiffusersConfiguration(path: path)
        try reader.expect("_class_name", "AutoencoderKL")
        try reader.expect("act_fn", "silu")
        try reader.expect("down_block_types", "DownEncoderBlock2D")
        try reader.expect("up_block_types", "UpDecoderBlock2D")
        for key in ["in_channels", "out_channels"] {
            _ = try reader.value(key, "3") { value -> Int? in value.int == 3 ? 3 : nil }
        }
        widths = try reader.value("block_out_channels", "a list of whole numbers") { $0.all(\.int) } ?? widths
        layersPerBlock = try reader.value("layers_per_block", "a whole number", \.int) ?? layersPerBlock
        latentChannels = try reader.value("latent_channels", "a whole number", \.int) ?? latentChannels
        groups = try reader.value("norm_num_groups", "a whole number", \.int) ?? groups
        sampleSize = try reader.value("sample_size", "a whole number", \.int)
        hasQuantConvolution = try reader.value("use_quant_conv", "true or false", \.bool) ?? hasQuantConvolution
        hasPostQuantConvolution =
            try reader.value("use_post_quant_conv", "true or false", \.bool) ?? hasPostQuantConvolution
        hasAttention = try reader.value("mid_block_add_attention", "true or false", \.bool) ?? hasAttention
        normalisation = try reader.normalisation(default: normalisation)
        if let problem { throw FileError(path, problem, remedy: "give the folder of an AutoencoderKL") }
    }
}

extension DiffusersConfiguration {
    /// The normalisation (z - shift_factor) * scaling_factor, or per channel (z - latents_mean) * scaling_factor /
    /// latents_std.
    fileprivate func normalisation(default standard: LatentNormalisation) throws -> LatentNormalisation {
        let scale = try value("scaling_factor", "a number", \.double) ?? standard.scale[0]
        let shift = try value("shift_factor", "a number", \.double) ?? standard.shift[0]
        let means = try value("latents_mean", "a list of numbers") { $0.all(\.double) }
        let deviations = try value("latents_std", "a list of numbers") { $0.all(\.double) }
        return LatentNormalisation(shift: means ?? [shift], scale: deviations?.map { scale / $0 } ?? [scale])
    }
}
