import Data
import Diffusion
import Evaluation
import Foundation
import Models
import Torch

/// The source of the features that a method follows: read from the store with each picture, or computed from it, in the
/// precision of the step.
struct TrainingTargets {
    private struct Source {
        let layout: FeatureLayout
        /// The encoder; nil if the features are stored.
        var encoder: (any PatchEncoder)?
        /// The index of stored features among the data's encoders.
        var place = 0
    }

    private let sources: [Source]

    /// The encoders whose features the loader is to read.
    var stored: [Int] { sources.filter { $0.encoder == nil }.map(\.place) }
    /// The number of elements of all encoders' features of one picture.
    var elementCount: Int { sources.map(\.layout.elementCount).reduce(0, +) }
    /// The files of the encoders with checksums.
    var identities: [String] { sources.map(\.layout.encoder) }

    /// Creates targets of no encoder.
    init() { sources = [] }

    /// Finds the encoders of a configuration's method; none for a method that follows none. Throws a
    /// `ConfigurationError` if an encoder does not exist, or its features do not fit the configuration.
    init(_ c: TrainingConfiguration, of dataset: any Dataset, on device: Device) throws {
        guard let targets = c.method.targets else {
            sources = []
            return
        }
        sources = try Self.sources(
            targets, stored: dataset.features, hasPixels: dataset.latents == nil, of: c, on: device)
        if sources.isEmpty {
            throw ConfigurationError(
                "--encoders: \(c.data.source) holds no features of encoders; give files of encoders, or data that "
                    + "`prepare --features` has made")
        }
        for source in sources {
            let layout = source.layout
            if let problem = targets.problem(tokens: layout.tokens, encoder: layout.name, for: c.network) {
                throw ConfigurationError(problem)
            }
            if source.encoder == nil, c.data.flips, !layout.hasMirrored {
                throw ConfigurationError(
                    "data.flips: \(c.data.source) holds no features of mirror images by \(layout.name); set "
                        + "data.flips=false, or prepare it with --mirrored")
            }
        }
        let widths = sources.map(\.layout.width)
        if widths != targets.widths {
            throw ConfigurationError(
                "method.targets.widths: the features have the sizes \(widths), not \(targets.widths); leave it out")
        }
    }

    /// The feature sizes that a configuration's method would follow; empty if no encoder is named. Throws if a named
    /// one cannot be opened.
    static func widths(of c: TrainingConfiguration) throws -> [Int] {
        guard let targets = c.method.targets else { return [] }
        let path = c.data.source
        let store = StoreManifest.exists(in: path) ? try StoreManifest.read(from: path) : nil
        let hasPixels = try store.map { $0.layout.content == .pixels } ?? (openLatents(path: path) == nil)
        return try sources(targets, stored: store?.features ?? [], hasPixels: hasPixels, of: c, on: .cpu)
            .map(\.layout.width)
    }

    private static func sources(
        _ targets: TargetSettings, stored: [FeatureLayout], hasPixels: Bool, of c: TrainingConfiguration,
        on device: Device
    ) throws -> [Source] {
        if targets.encoders.isEmpty { return stored.enumerated().map { Source(layout: $1, place: $0) } }
        return try targets.encoders.map { path in
            if let place = try place(of: path, among: stored, in: c.data.source) {
                return Source(layout: stored[place], place: place)
            }
            guard hasPixels else {
                let held = stored.isEmpty ? "no features" : "features of " + stored.map(\.name).joined(separator: ", ")
                throw ConfigurationError(
                    "--encoders \(path): \(c.data.source) holds latents, which have no pixels to compute features from, "
                        + "and \(held); prepare the images again with --autoencoder and --features \(path)")
            }
            let grid = Int(Double(c.network.tokens).squareRoot().rounded())
            let encoder = try EncoderFiles.open(path, grid: grid, on: device)
            let shape = try encoder.shape(side: c.network.inputSize)
            let layout = FeatureLayout(
                encoder: encoder.identity, tokens: shape.tokens, width: shape.width, hasMirrored: true)
            return Source(layout: layout, encoder: encoder)
        }
    }

    /// The index of a store's encoder that matches a file or, if there is no such file, has its name.
    private static func place(of path: String, among stored: [FeatureLayout], in data: String) throws -> Int? {
        let name = URL(fileURLWithPath: path).lastPathComponent
        guard let place = stored.firstIndex(where: { $0.name == name }) else { return nil }
        if FileManager.default.fileExists(atPath: path), try fileIdentity(path) != stored[place].encoder {
            throw ConfigurationError(
                "--encoders \(path): \(data) holds features of another file of that name; prepare it again, or leave "
                    + "--encoders out")
        }
        return place
    }

    /// Features [B, M, Z] of a part of the loaded batch, in the order of the method's encoders. `places` are indices of
    /// pictures from the first loaded one; `clean` are the same pictures [B, 3, R, R] in [-1, 1].
    func tensors(of loaded: LoadedBatch<TrainingDraws>, at places: Range<Int>, clean: Tensor) throws -> [Tensor] {
        let stored = stored
        return try sources.map { source in
            // A byte b was loaded as b / 127.5 - 1.
            if let encoder = source.encoder { return try encoder(((clean + 1) * 127.5 + 0.5).to(.U8)) }
            guard let slot = stored.firstIndex(of: source.place) else { preconditionFailure("it is one of them") }
            let (layout, numbers) = (source.layout, loaded.features[slot])
            let part = numbers[places.lowerBound * layout.elementCount..<places.upperBound * layout.elementCount]
            return part.withUnsafeBytes {
                Tensor(copying: $0, type: .F32, shape: [places.count, layout.tokens, layout.width])
            }.to(clean.device)
        }
    }
}
