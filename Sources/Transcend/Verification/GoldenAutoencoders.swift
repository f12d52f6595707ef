import Formats
import Foundation
import Models
import Torch

/// The golden files of autoencoders.
extension GoldenChecks {
    /// Images and noise of an AutoencoderKL whose folder lies beside the file.
    static func autoencoderKL(_ golden: GoldenFile) throws -> [VerificationRow] {
        let beside = URL(fileURLWithPath: golden.file.mapping.path).deletingLastPathComponent().path
        let autoencoder = try AutoencoderFiles.open(
            beside + "/" + golden.setting("directory", \.string), on: golden.device)
        let posterior = autoencoder.encode(try golden.tensor("input.image").to(.F32) / 127.5 - 1)
        let latent = autoencoder.normalisation.normalised(posterior.sample(noise: try golden.tensor("input.noise")))
        return try golden.compare([
            "mean": posterior.mean, "log_variance": posterior.logVariance ?? .zeros([1]), "latent": latent,
            "decoded": autoencoder.decode(autoencoder.normalisation.denormalised(latent)),
        ])
    }

    /// Images of one of the TAESD family, whose weights are made by the formula or lie in the folder of models.
    static func tinyAutoencoder(_ golden: GoldenFile) throws -> [VerificationRow] {
        let autoencoder = try golden.tinyAutoencoder()
        let latent = autoencoder.encode(try golden.tensor("input.image").to(.F32) / 127.5 - 1).mean
        // The file's images are from 0 to 1.
        return try golden.compare(["latent": latent, "decoded": (autoencoder.decode(latent) + 1) / 2])
    }
}

extension GoldenFile {
    fileprivate func tinyAutoencoder() throws -> any Autoencoder {
        if settings["weights"]?.string == "formula" {
            let kind = try setting("channels") { $0.int.flatMap(TinyAutoencoder.Kind.init) }
            let autoencoder = TinyAutoencoder(kind, on: device)
            GoldenFormula.fill(autoencoder, gain: try setting("gain", \.double))
            return autoencoder
        }
        let encoder = try setting("encoder", \.string)
        guard let models else { throw GoldenCaseSkipped(reason: "needs \(encoder) and its decoder: --models FOLDER") }
        return try AutoencoderFiles.open(models + "/" + encoder, on: device)
    }
}
