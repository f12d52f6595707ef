import Data
import Formats
import Models
import Torch

extension Autoencoder {
    /// A checksum of the encoder's weights, or of the decoder's.
    private func checksum(ofEncoder isOfEncoder: Bool) -> Checksum {
        var checksum = Checksum()
        for entry in parameters()
        where ["encoder.", "quant_conv."].contains(where: entry.name.hasPrefix) == isOfEncoder {
            Array(entry.name.utf8).withUnsafeBytes { checksum.add($0) }
            entry.parameter.value.withHostBytes { checksum.add($0) }
        }
        return checksum
    }

    /// The identity of the decoding of a network's latents in this normalisation: autoencoders that differ only in the
    /// decoder have the same encoder identity.
    func decoderIdentity(_ normalisation: LatentNormalisation) -> String {
        var checksum = checksum(ofEncoder: false)
        let numbers = (normalisation.shift + normalisation.scale).map { "\($0)" }.joined(separator: " ")
        Array(numbers.utf8).withUnsafeBytes { checksum.add($0) }
        return "\(name) (decoder \(checksum.text))"
    }

    /// The encoding that a store records for latents made in this precision.
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
    /// The same normalisation for tensors.
    var normalisation: LatentNormalisation { LatentNormalisation(shift: shift, scale: scale) }
}
