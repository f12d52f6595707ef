import Data
import Formats
import Foundation
import Models

/// Opens the data that a configuration names.
public enum TrainingData {
    /// A folder or zip of images, or the embedded pictures; read whole, so that a bad file stops a run before it starts.
    public static func open(_ c: TrainingConfiguration) throws -> any Dataset {
        guard c.data.source != DataConfiguration.embedded else {
            guard Pictures.sides.contains(c.network.inputSize) else {
                throw ConfigurationError(
                    "the embedded pictures have sides from \(Pictures.sides.lowerBound) to "
                        + "\(Pictures.sides.upperBound), not \(c.network.inputSize)")
            }
            return Pictures(side: c.network.inputSize, seed: c.seed)
        }
        return try PixelDataset(source: openSource(path: c.data.source), side: c.network.inputSize)
    }

    /// The number of classes of a source, without decoding its images.
    public static func classCount(of source: String) throws -> Int {
        try source == DataConfiguration.embedded
            ? Pictures().classNames.count : openSource(path: source).classNames.count
    }

    /// Checks that images of this data set can go into the network.
    public static func check(_ dataset: any Dataset, fits network: SiTConfiguration) throws {
        if dataset.channels != network.channels {
            throw ConfigurationError(
                "the images have \(dataset.channels) channels, the network \(network.channels); "
                    + "give --set network.channels=\(dataset.channels)")
        }
        if dataset.classNames.count != network.classes {
            throw ConfigurationError(
                "the data have \(dataset.classNames.count) classes, the network \(network.classes); "
                    + "give --set network.classes=\(dataset.classNames.count)")
        }
    }
}
