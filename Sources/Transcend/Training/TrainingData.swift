import Data
import Formats
import Foundation
import Models

/// Opens the data that a configuration names.
public enum TrainingData {
    /// A folder or zip of images, or the embedded pictures; read whole, so that a bad file stops a run before it starts,
    /// or which are skipped is settled. Throws too if the images do not fit the network.
    public static func open(_ c: TrainingConfiguration) throws -> any Dataset {
        if c.data.source.isEmpty { throw ConfigurationError("--data: give a folder or zip of images to train on") }
        let dataset: any Dataset =
            c.data.source == DataConfiguration.embedded
            ? try pictures(c)
            : try PixelDataset(
                source: openSource(path: c.data.source), side: c.network.inputSize, skippingBad: c.data.skipBadImages)
        try check(dataset, fits: c.network)
        return dataset
    }

    /// Whether two configurations train on the same images.
    static func isSame(_ a: TrainingConfiguration, _ b: TrainingConfiguration) -> Bool {
        a.data.source == b.data.source && a.data.skipBadImages == b.data.skipBadImages
            && a.network.inputSize == b.network.inputSize && a.seed == b.seed
    }

    private static func pictures(_ c: TrainingConfiguration) throws -> Pictures {
        guard Pictures.sides.contains(c.network.inputSize) else {
            throw ConfigurationError(
                "the embedded pictures have sides from \(Pictures.sides.lowerBound) to "
                    + "\(Pictures.sides.upperBound), not \(c.network.inputSize)")
        }
        return Pictures(side: c.network.inputSize, seed: c.seed)
    }

    /// The number of classes of a source, without decoding its images.
    public static func classCount(of source: String) throws -> Int {
        try source == DataConfiguration.embedded
            ? Pictures().classNames.count : openSource(path: source).classNames.count
    }

    private static func check(_ dataset: any Dataset, fits network: SiTConfiguration) throws {
        if dataset.channels != network.channels {
            throw ConfigurationError(
                "the images have \(dataset.channels) channels, the network \(network.channels); "
                    + "networks of latents come with the latent store")
        }
        if dataset.classNames.count != network.classes {
            throw ConfigurationError(
                "the data have \(dataset.classNames.count) classes, the network \(network.classes); "
                    + "give --set network.classes=\(dataset.classNames.count)")
        }
    }
}
