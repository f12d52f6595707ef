import Data
import Formats
import Models
import Torch

extension Autoencoder {
    /// A checksum of the weights that make latents, or of the others, which make pictures of them.
    private func checksum(ofEncoder isOfEncoder: Bool) -> Checksum {
        var checksum = Checksum()
        for entry in parameters()
        where ["encoder.", "quant_conv."].contains(where: entry.name.hasPrefix) == isOfEncoder {
            Array(entry.name.utf8).withUnsafeBytes { checksum.add($0) }
            entry.parameter.value.withHostBytes { checksum.add($0) }
        }
        return checksum
    }

    /// What decides which pictures are made of a network's latents, in this normalisation: autoencoders that differ in the decoder
    /// alone have one encoder's identity.
    func decoderIdentity(_ normalisation: LatentNormalisation) -> String {
        var checksum = checksum(ofEncoder: false)
        let numbers = (normalisation.shift + normalisation.scale).map { "\($0)" }.joined(separator: " ")
        Array(numbers.utf8).withUnsafeBytes { checksum.add($0) }
        return "\(name) (decoder \(checksum.text))"
    }

    /// What a store says of the latents that are made in this precision.
    func encoding(precision: Precision) -> LatentEncoding {
        func each(_ values: [Double]) -> [Double] {
            values.count == 1 ? [Double](repeating: values[0], count: latentChannels) : values
        }
        return LatentEncoding(
            autoencoder: name, weights: checksum(ofEncoder: true).text, precision: precision,
            shift: each(normalisation.shift),
            scale: each(normalisation.scale))
    }
}

extension LatentEncoding {
    /// The same numbers for tensors.
    var normalisation: LatentNormalisation { LatentNormalisation(shift: shift, scale: scale) }
}
