import Formats
import Torch

/// The pictures or latents of a store, for training.
///
/// A latent is sampled again in each epoch, with draws of the purpose "posterior", and normalised as the manifest says.
public struct StoredDataset: Dataset {
    private let store: PackedStore
    private let draws: Draws
    private let sampler: PosteriorSampler?

    public var count: Int { store.count }
    /// The fingerprint of the manifest, which holds the checksums of all shards.
    public var fingerprint: String { get throws { try store.manifest.fingerprint } }
    public var classNames: [String] { store.classNames }
    /// The number of channels C; 3 for pictures.
    public var channels: Int { store.layout.channels }
    /// The side R in pixels, or in elements of a latent.
    public var side: Int { store.layout.side }
    /// True for pictures; for latents, only if the store has records of the mirror images.
    public var canMirror: Bool { store.layout.content == .pixels || store.layout.hasMirrored }
    /// The encoding from the manifest; nil for pictures.
    public var latents: LatentEncoding? { store.manifest.encoding }
    public var features: [FeatureLayout] { store.features }

    /// Creates a data set; `draws` are the training run's, whose seed decides how latents are sampled.
    public init(_ store: PackedStore, draws: Draws) {
        self.store = store
        self.draws = draws
        sampler = store.manifest.encoding.map(PosteriorSampler.init)
    }

    public func label(_ index: Int) -> Int { store.label(index) }

    public func copyImage(
        _ index: Int, epoch: Int, into image: UnsafeMutableBufferPointer<Float>, mirrored: Bool
    ) {
        let layout = store.layout
        guard let sampler else {
            store.withRecord(index) {
                copyRows($0.bindMemory(to: UInt8.self), into: image, side: layout.side, mirrored: mirrored)
            }
            return
        }
        if layout.content == .meanAndDeviation { draws.fillNormals(.posterior, step: epoch, item: index, into: image) }
        withUnsafeTemporaryAllocation(of: Float.self, capacity: layout.elementCount) { record in
            store.withRecord(index, mirrored: mirrored) { copyNumbers($0, of: layout.type, into: record) }
            sampler.draw(from: UnsafeBufferPointer(record), layout: layout, into: image)
        }
    }

    public func copyFeatures(
        _ index: Int, of encoder: Int, mirrored: Bool, into numbers: UnsafeMutableBufferPointer<Float>
    ) {
        store.copyFeatures(index, of: encoder, mirrored: mirrored, into: numbers)
    }
}

/// Latents in third-party files, read directly for training, as `StoredDataset` does with a store.
public struct LatentDataset: Dataset {
    private let source: any LatentSource
    private let entries: [ImageEntry]
    private let draws: Draws
    private let sampler: PosteriorSampler

    public let classNames: [String]
    public var count: Int { entries.count }
    /// The number of channels C of the latents.
    public var channels: Int { source.layout.channels }
    /// The side R of the latents.
    public var side: Int { source.layout.side }
    /// Whether the files hold latents of the mirror images.
    public var canMirror: Bool { source.layout.hasMirrored }
    /// A checksum of the files' names, labels and classes, and of the encoding.
    public var fingerprint: String {
        let sources = SourceList(entries: entries, classNames: classNames)
        return Checksum(of: "\(sources.checksum) \(source.layout) \(source.encoding)").text
    }
    /// The encoding of the files.
    public var latents: LatentEncoding? { source.encoding }

    /// Creates a data set; throws a `FileError` if the source needs statistics that only a store has.
    public init(_ source: any LatentSource, draws: Draws) throws {
        guard !source.encoding.scale.isEmpty else {
            throw FileError(
                source.location, "holds latents whose statistics are not known",
                remedy: "import them: transcend prepare --data \(source.location) --out STORE")
        }
        self.source = source
        self.draws = draws
        (entries, classNames) = (source.entries, source.classNames)
        sampler = PosteriorSampler(source.encoding)
    }

    public func label(_ index: Int) -> Int { entries[index].label }

    public func copyImage(
        _ index: Int, epoch: Int, into image: UnsafeMutableBufferPointer<Float>, mirrored: Bool
    ) throws {
        let layout = source.layout
        if layout.content == .meanAndDeviation { draws.fillNormals(.posterior, step: epoch, item: index, into: image) }
        try withUnsafeTemporaryAllocation(of: Float.self, capacity: layout.elementCount) { record in
            try source.copyRecord(index, mirrored: mirrored, into: record)
            sampler.draw(from: UnsafeBufferPointer(record), layout: layout, into: image)
        }
    }
}
