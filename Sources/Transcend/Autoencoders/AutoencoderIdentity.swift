import Data
import Formats
import Models
import Torch

extension Autoencoder {
    /// A checksum of the weights that make latents: autoencoders that differ in the decoder alone have the same.
    private var encoderChecksum: String {
        var checksum = Checksum()
        for entry in parameters() where ["encoder.", "quant_conv."].contains(where: entry.name.hasPrefix) {
            Array(entry.name.utf8).withUnsafeBytes { checksum.add($0) }
            entry.parameter.value.withHostBytes { checksum.add($0) }
        }
        return checksum.text
    }

    /// What a store says of the latents that are made in this precision.
    func encoding(precision: Precision) -> LatentEncoding {
        func each(_ values: [Double]) -> [Double] {
            values.count == 1 ? [Double](repeating: values[0], count: latentChannels) : values
        }
        return LatentEncoding(
            autoencoder: name, weights: encoderChecksum, precision: precision, shift: each(normalisation.shift),
            scale: each(normalisation.scale))
    }
}

extension LatentEncoding {
    /// The same numbers for tensors.
    var normalisation: LatentNormalisation { LatentNormalisation(shift: shift, scale: scale) }
}
