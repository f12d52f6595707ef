import Data
import Formats
import Foundation

/// Crops the images of a source, encodes them and packs them into a store.
///
/// The network runs in the calling thread while other threads read, decode and crop. A killed preparation continues
/// with its incomplete shard; the finished store has the same bytes.
public struct Preparation {
    /// The settings other than source and encoder.
    public struct Settings: Sendable {
        /// The side of the cropped squares, in pixels.
        public var resolution: Int
        /// The number of images encoded together.
        public var batch = 16
        /// The number of decoding threads.
        public var threads = ProcessInfo.processInfo.activeProcessorCount
        /// Whether to leave out images that cannot be read instead of stopping at the first.
        public var skipsBadImages = false
        /// The number of images of the source per file; nil for as many as 256 MB hold, at most 1024.
        public var imagesPerShard: Int?

        /// Creates settings for squares of `resolution` pixels, 1 or more.
        public init(resolution: Int) {
            self.resolution = resolution
        }
    }

    private let source: any ImageSource
    private let encoder: any PictureEncoder
    private let features: [StoredEncoder]
    private let settings: Settings

    /// Creates a preparation; the encoder's records, and the input of `features`, must fit pictures of the settings'
    /// resolution.
    public init(
        _ source: any ImageSource, _ encoder: any PictureEncoder, features: [StoredEncoder] = [], _ settings: Settings
    ) {
        self.source = source
        self.encoder = encoder
        self.features = features
        self.settings = settings
    }

    /// Makes or continues the store in a folder; `progress` is called with the number of images done and with those
    /// left out.
    ///
    /// Of n ranks each makes every n-th shard, and the first one adds them to the manifest. Throws a `FileError` about
    /// an image that cannot be read, or about the folder or its disk.
    public func run(
        to path: String, in world: World = .alone, progress: (Int) -> Void = { _ in },
        skipped: (FileError) -> Void = { _ in }
    ) throws -> PackedStore {
        let plan = StoreManifest(
            layout: encoder.layout, encoding: encoder.encoding, features: features.map(\.layout),
            resolution: settings.resolution,
            source: SourceList(entries: source.entries, classNames: source.classNames),
            imagesPerShard: settings.imagesPerShard)
        let writer = try world.firstThenOthers { try StoreWriter(path: path, plan: plan, helps: !world.isFirst) }
        let missing = writer.missingShards
        // No rank begins while another is still checking what is missing.
        try world.barrier()
        let own = missing.indices.filter { $0 % world.size == world.rank }.map { missing[$0] }
        let shards = own.map { ($0, batches(of: plan.images(ofShard: $0))) }
        let images = CroppedImages(
            source: source, resolution: settings.resolution, batches: shards.flatMap(\.1), threads: settings.threads)
        defer { images.stop() }
        var done = plan.sourceCount - missing.map { plan.images(ofShard: $0).count }.reduce(0, +)
        for (place, (shard, batches)) in shards.enumerated() {
            var content = ShardContent(layout: encoder.layout, features: features.map(\.layout))
            for batch in batches {
                try append(images.next(), to: &content, skipped: skipped)
                done += batch.count
                world.watch?.tick(step: shard)
                progress(done)
            }
            let written = try writer.writeFile(content, shard: shard)
            guard world.isFirst else {
                try world.post(note: "shard \(shard)", JSONValue(encoding: written).text())
                continue
            }
            try writer.enter(written)
            for rank in 1..<world.size where place * world.size + rank < missing.count {
                let other = missing[place * world.size + rank]
                try enterShard(other, of: rank, writer, world, skipped)
                done += plan.images(ofShard: other).count
                progress(done)
            }
        }
        return try world.firstThenOthers { try world.isFirst ? writer.finish() : PackedStore(path: path) }
    }

    /// Waits for a shard written by another rank, and adds it to the manifest.
    private func enterShard(
        _ index: Int, of rank: Int, _ writer: StoreWriter, _ world: World, _ skipped: (FileError) -> Void
    ) throws {
        let text = try world.readingOrWriting { try world.note(from: rank, "shard \(index)") }
        let shard = try JSONValue(parsing: text).decoded(as: StoreManifest.Shard.self)
        try writer.enter(shard)
        for name in shard.skipped { skipped(FileError(name, "cannot be used")) }
    }

    /// The batches of a shard's images; they do not depend on where a killed preparation stopped.
    private func batches(of images: Range<Int>) -> [Range<Int>] {
        stride(from: images.lowerBound, to: images.upperBound, by: settings.batch).map {
            $0..<min($0 + settings.batch, images.upperBound)
        }
    }

    private func append(
        _ batch: CroppedImages.Batch, to content: inout ShardContent, skipped: (FileError) -> Void
    ) throws {
        for (index, error) in batch.failures {
            guard settings.skipsBadImages else {
                throw FileError(
                    error.path, error.problem, remedy: "remove it, or pass over bad images with --skip-bad-images")
            }
            content.skip(source.entries[index].name)
            skipped(error)
        }
        guard !batch.images.isEmpty else { return }
        let pictures = batch.images.map(\.image)
        content.append(
            batch.images.map { source.entries[$0.index] }, records: try encoder.encode(pictures),
            mirrored: encoder.layout.hasMirrored ? try encoder.encode(pictures.map(\.mirrored)) : [],
            features: try features.map { try $0.encode(pictures) })
    }
}

/// Packs third-party latents into a store.
public struct LatentImport {
    private let source: any LatentSource
    private let layout: RecordLayout
    private let imagesPerShard: Int?

    /// Creates an import; `type` is the element type of the store's records, F16 or F32.
    public init(_ source: any LatentSource, type: ElementType, imagesPerShard: Int? = nil) {
        self.source = source
        self.imagesPerShard = imagesPerShard
        var layout = source.layout
        layout.type = type
        self.layout = layout
    }

    /// Makes or continues the store in a folder; `progress` is called with the number of latents done. Throws a
    /// `FileError`.
    public func run(to path: String, progress: (Int) -> Void = { _ in }) throws -> PackedStore {
        let entries = source.entries
        let plan = StoreManifest(
            layout: layout, encoding: source.encoding, resolution: 0,
            source: SourceList(entries: entries, classNames: source.classNames), imagesPerShard: imagesPerShard)
        let writer = try StoreWriter(path: path, plan: plan)
        for shard in writer.missingShards {
            var content = ShardContent(layout: layout)
            for index in plan.images(ofShard: shard) {
                content.append(
                    [entries[index]], records: try record(index, entries, mirrored: false),
                    mirrored: layout.hasMirrored ? try record(index, entries, mirrored: true) : [])
                progress(index + 1)
            }
            try writer.write(content, shard: shard)
        }
        return try writer.finish()
    }

    private func record(_ index: Int, _ entries: [ImageEntry], mirrored: Bool) throws -> [UInt8] {
        let numbers = try [Float](unsafeUninitializedCapacity: layout.elementCount) { buffer, filled in
            try source.copyRecord(
                index, mirrored: mirrored, into: UnsafeMutableBufferPointer(rebasing: buffer[..<layout.elementCount]))
            filled = layout.elementCount
        }
        return try recordBytes(numbers, as: layout.type, name: "\(source.location): \(entries[index].name)")
    }
}
