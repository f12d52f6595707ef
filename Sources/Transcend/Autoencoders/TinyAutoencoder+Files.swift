import Formats
import Models
import Torch

extension TinyAutoencoder {
    /// Creates the autoencoder from two state dicts of the family, with layers named by their indices; the shapes
    /// determine the member. Throws a `FileError` if they match no member or different ones.
    init(encoder: any NamedTensors, decoder: any NamedTensors, on device: Device) throws {
        let kind = try Self.kind(encoder, channels: encoder.shape("14.weight")?.first, pool: "11.pool.0.weight")
        let other = try Self.kind(
            decoder, channels: decoder.shape("1.weight")?.dropFirst().first, pool: "3.pool.0.weight")
        guard kind == other else {
            throw FileError(
                encoder.path, "is the encoder of \(kind.name), \(decoder.path) the decoder of \(other.name)",
                remedy: "give two files of the same autoencoder")
        }
        self.init(kind, on: device)
        let all = parameters()
        for (part, weights) in [("encoder.", encoder), ("decoder.", decoder)] {
            try weights.load(
                all.tensors.filter { $0.name.hasPrefix(part) }.map {
                    (String($0.name.dropFirst(part.count)), $0.tensor)
                })
        }
    }

    private static func kind(_ weights: any NamedTensors, channels: Int?, pool: String) throws -> Kind {
        guard let channels, let kind = Kind(rawValue: channels),
            (weights.shape(pool) != nil) == (kind == .taef2)
        else {
            throw FileError(
                weights.path, "is of the TAESD family, but of no known member (\(channels ?? 0) channels)",
                remedy: AutoencoderFiles.expected)
        }
        return kind
    }
}

extension NamedTensors {
    /// Whether it is an encoder of the family.
    var isTinyEncoder: Bool { shape("0.weight") == [64, 3, 3, 3] && shape("14.weight") != nil }

    /// Whether it is a decoder of the family.
    var isTinyDecoder: Bool {
        shape("1.weight").map { $0.count == 4 && $0[0] == 64 } == true && shape("19.weight") == [3, 64, 3, 3]
    }

    /// The encoder and decoder of one file, if it holds both: below "encoder." and "decoder.", or as in diffusers'
    /// AutoencoderTiny below "encoder.layers." and "decoder.layers.", where the decoder's first layer, without weights,
    /// is not counted.
    var tinyParts: (encoder: TensorSection, decoder: TensorSection)? {
        let counted = below("decoder.layers.").mapped { name, shape in
            let parts = name.split(separator: ".", maxSplits: 1)
            return parts.first.flatMap { Int($0) }.map { ("\($0 &+ 1)." + parts.dropFirst().joined(), shape) }
        }
        let diffusers = (below("encoder.layers."), counted)
        return [(below("encoder."), below("decoder.")), diffusers].first {
            $0.isTinyEncoder && $1.isTinyDecoder
        }
    }
}
