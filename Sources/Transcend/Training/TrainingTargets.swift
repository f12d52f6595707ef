import Data
import Diffusion
import Evaluation
import Foundation
import Models
import Torch

/// Where the features come from that a method follows: read from the store with each picture, or computed from it.
struct TrainingTargets {
    private enum Origin {
        /// By the place among the data's encoders.
        case stored(Int)
        case computed(any PatchEncoder)
    }

    private let sources: [(layout: FeatureLayout, origin: Origin)]

    /// The encoders whose features the loader is to read.
    var stored: [Int] { sources.compactMap { if case .stored(let place) = $0.origin { place } else { nil } } }
    /// Numbers of all encoders' features of one picture.
    var elementCount: Int { sources.map(\.layout.elementCount).reduce(0, +) }

    /// Finds the encoders of a configuration's method; none for a method that follows none. Throws a `ConfigurationError` where
    /// there is no such encoder, or its features do not fit the configuration.
    init(_ c: TrainingConfiguration, of dataset: any Dataset, on device: Device) throws {
        guard let targets = c.method.method.targets else {
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
        for (layout, origin) in sources {
            if let problem = targets.problem(tokens: layout.tokens, encoder: layout.name, for: c.network) {
                throw ConfigurationError(problem)
            }
            if case .stored = origin, c.data.flips, !layout.hasMirrored {
                throw ConfigurationError(
                    "data.flips: \(c.data.source) holds no features of mirror images by \(layout.name); set "
                        + "data.flips=false")
            }
        }
        let widths = sources.map(\.layout.width)
        if widths != targets.widths {
            throw ConfigurationError(
                "method.targets.widths: the features have the sizes \(widths), not \(targets.widths); leave it out")
        }
    }

    /// The sizes of the features that a configuration's method would follow; empty where nothing names an encoder. Throws where
    /// one that is named cannot be opened.
    static func widths(of c: TrainingConfiguration) throws -> [Int] {
        guard let targets = c.method.method.targets else { return [] }
        let source = c.data.source
        let store = StoreManifest.exists(in: source) ? try PackedStore(path: source) : nil
        let hasPixels = try store.map { $0.layout.content == .pixels } ?? (openLatents(path: source) == nil)
        return try sources(targets, stored: store?.features ?? [], hasPixels: hasPixels, of: c, on: .cpu)
            .map(\.layout.width)
    }

    private static func sources(
        _ targets: TargetSettings, stored: [FeatureLayout], hasPixels: Bool, of c: TrainingConfiguration,
        on device: Device
    ) throws -> [(layout: FeatureLayout, origin: Origin)] {
        if targets.encoders.isEmpty { return stored.enumerated().map { ($1, .stored($0)) } }
        return try targets.encoders.map { path in
            let name = URL(fileURLWithPath: path).lastPathComponent
            if let place = stored.firstIndex(where: { $0.name == name }) { return (stored[place], .stored(place)) }
            guard hasPixels else {
                let held = stored.isEmpty ? "no features" : "features of " + stored.map(\.name).joined(separator: ", ")
                throw ConfigurationError(
                    "--encoders \(path): \(c.data.source) holds latents, which have no pixels to compute features from, "
                        + "and \(held); make it anew by `prepare --features \(path)`")
            }
            let grid = Int(Double(c.network.tokens).squareRoot().rounded())
            let encoder = try EncoderFiles.open(path, grid: grid, on: device)
            let shape = try encoder.shape(side: c.network.inputSize)
            let layout = FeatureLayout(
                encoder: encoder.identity, tokens: shape.tokens, width: shape.width, hasMirrored: true)
            return (layout, .computed(encoder))
        }
    }

    /// Features [B, M, Z] of a part of what was loaded, in the order of the method's encoders. `places` of the pictures count from
    /// the first one that was loaded; `shape` is that of a picture, [3, R, R].
    func tensors(
        of loaded: LoadedBatch<TrainingDraws>, at places: Range<Int>, shape: [Int], on device: Device
    ) throws -> [Tensor] {
        var read = loaded.features.makeIterator()
        var bytes: Tensor?
        return try sources.map { layout, origin in
            switch origin {
            case .stored:
                return Self.upload(read.next() ?? [], places, [layout.tokens, layout.width], to: device)
            case .computed(let encoder):
                // A byte b was loaded as b / 127.5 - 1.
                let images =
                    bytes ?? ((Self.upload(loaded.images, places, shape, to: device) + 1) * 127.5 + 0.5).to(.U8)
                bytes = images
                return try encoder(images)
            }
        }
    }

    private static func upload(_ numbers: [Float], _ places: Range<Int>, _ shape: [Int], to device: Device) -> Tensor {
        let size = shape.reduce(1, *)
        let part = numbers[places.lowerBound * size..<places.upperBound * size]
        return part.withUnsafeBytes { Tensor(copying: $0, type: .F32, shape: [places.count] + shape) }.to(device)
    }
}
