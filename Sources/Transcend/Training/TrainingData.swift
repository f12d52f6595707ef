import Data
import Formats
import Foundation
import Models
import Torch

/// Opens the data of a configuration.
public enum TrainingData {
    /// A store, a folder or archive of images, published latents, or the embedded pictures. Images are read whole, so that
    /// a bad file stops a run before it starts, or which are skipped is settled. Throws too if the data do not fit the
    /// network, which may be one that `isTrained` and stays as it is.
    public static func open(_ c: TrainingConfiguration, isTrained: Bool = false) throws -> any Dataset {
        if c.data.source.isEmpty { throw ConfigurationError("--data: give a folder or zip of images to train on") }
        let dataset = try dataset(c)
        try check(dataset, fits: c.network, isTrained: isTrained)
        if c.data.flips, !dataset.canMirror {
            throw ConfigurationError(
                "data.flips: \(c.data.source) holds no latents of mirror images; set data.flips=false")
        }
        return dataset
    }

    private static func dataset(_ c: TrainingConfiguration) throws -> any Dataset {
        let (source, draws) = (c.data.source, Draws(seed: c.seed))
        if source == DataConfiguration.embedded { return try pictures(side: c.network.inputSize, seed: c.seed) }
        if StoreManifest.exists(in: source) { return StoredDataset(try PackedStore(path: source), draws: draws) }
        if let latents = try openLatents(path: source) { return try LatentDataset(latents, draws: draws) }
        return try PixelDataset(
            source: openSource(path: source), side: c.network.inputSize, skippingBad: c.data.skipBadImages)
    }

    /// The images of a source without a network: those of a store as they are, the embedded pictures with `side` pixels
    /// (24 by default), those of a folder or archive if they have `side` pixels (32). Throws a `ConfigurationError` for
    /// latents, and a `FileError` for images of another size.
    public static func pixels(of source: String, side: Int? = nil) throws -> any Dataset {
        if source == DataConfiguration.embedded { return try pictures(side: side ?? 24, seed: 0) }
        let store = StoreManifest.exists(in: source) ? try PackedStore(path: source) : nil
        if try store.map({ $0.layout.content != .pixels }) ?? (openLatents(path: source) != nil) {
            throw ConfigurationError("\(source): it holds latents; give images or a store of pixels")
        }
        if let store { return StoredDataset(store, draws: Draws(seed: 0)) }
        return try PixelDataset(source: openSource(path: source), side: side ?? 32, skippingBad: false)
    }

    /// Whether two configurations train on the same images.
    static func isSame(_ a: TrainingConfiguration, _ b: TrainingConfiguration) -> Bool {
        a.data.source == b.data.source && a.data.skipBadImages == b.data.skipBadImages
            && a.network.inputSize == b.network.inputSize && a.seed == b.seed
    }

    private static func pictures(side: Int, seed: UInt64) throws -> Pictures {
        guard Pictures.sides.contains(side) else {
            throw ConfigurationError(
                "the embedded pictures have sides from \(Pictures.sides.lowerBound) to "
                    + "\(Pictures.sides.upperBound), not \(side)")
        }
        return Pictures(side: side, seed: seed)
    }

    /// The network settings that the data of a source require, without reading its images: the classes, and for a store
    /// or latents the channels and the side.
    public static func settings(for source: String) throws -> [Setting] {
        func setting(_ key: String, _ value: Int) -> Setting {
            Setting("network." + key, .int(Int64(value)), origin: "--data")
        }
        func settings(_ classNames: [String], _ layout: RecordLayout) -> [Setting] {
            [
                setting("classes", classNames.count), setting("channels", layout.channels),
                setting("inputSize", layout.side),
            ]
        }
        if source == DataConfiguration.embedded { return [setting("classes", Pictures().classNames.count)] }
        if StoreManifest.exists(in: source) {
            let store = try PackedStore(path: source)
            return settings(store.classNames, store.layout)
        }
        if let latents = try openLatents(path: source) { return settings(latents.classNames, latents.layout) }
        return [setting("classes", try openSource(path: source).classNames.count)]
    }

    private static func check(_ dataset: any Dataset, fits network: SiTConfiguration, isTrained: Bool) throws {
        guard let (misfit, flag) = misfit(of: dataset, for: network) else { return }
        throw ConfigurationError(
            isTrained ? "\(misfit); give data like those of its training" : "\(misfit); give \(flag)")
    }

    /// What of the data a network cannot take, and the flag that makes one that can; nil if there is nothing.
    private static func misfit(of dataset: any Dataset, for network: SiTConfiguration) -> (String, flag: String)? {
        let classes = dataset.classNames.count
        if dataset.channels != network.channels {
            return (
                "the data have \(dataset.channels) channels, the network \(network.channels)",
                "--set network.channels=\(dataset.channels)"
            )
        }
        if dataset.side != network.inputSize {
            return (
                "the data have a side of \(dataset.side), the network's input \(network.inputSize)",
                "--resolution \(dataset.side)"
            )
        }
        if classes != network.classes {
            return (
                "the data have \(classes) classes, the network \(network.classes)", "--set network.classes=\(classes)"
            )
        }
        return nil
    }
}
