import Formats
import Foundation

/// The description of a packed store, stored as its `manifest.json`.
///
/// It is rewritten after every shard, so it names exactly the complete shards.
public struct StoreManifest: Codable, Equatable, Sendable {
    /// The name of the file in a store's folder.
    public static let fileName = "manifest.json"
    /// The version of the format that is written and read.
    public static let currentVersion = 1

    /// One file of records.
    public struct Shard: Codable, Equatable, Sendable {
        /// The index of the shard, which determines the images of the source that it holds.
        public var index: Int
        /// The path of the file, relative to the store.
        public var file: String
        /// The number of pictures in the file, without those that were left out.
        public var records: Int
        /// The length of the file in bytes.
        public var byteCount: Int
        /// The CRC-32 of the file.
        public var checksum: UInt32
        /// Sums over the shard's elements, so that statistics need no second pass.
        public var sums: ChannelSums
        /// The images that could not be read and were left out.
        public var skipped: [String]
    }

    /// The identifier that distinguishes a manifest from other JSON.
    public private(set) var format = "transcend-store"
    /// The version of the format; only `currentVersion` is read.
    public private(set) var version = Self.currentVersion
    /// The type and shape of every record.
    public var layout: RecordLayout
    /// The origin and normalisation of latents; nil for pixels.
    public var encoding: LatentEncoding?
    /// The layouts of stored encoder features; nil if there are none.
    public var features: [FeatureLayout]?
    /// The side of the pictures in pixels; 0 if it is not known.
    public var resolution: Int
    /// The number of images in the source.
    public var sourceCount: Int
    /// A CRC-32 of the names, labels and classes of the source, so that a store is only continued with the same images.
    public var sourceChecksum: UInt32
    /// The classes, indexed by label.
    public var classNames: [String]
    /// The number of images of the source in each shard except the last.
    public var imagesPerShard: Int
    /// The complete shards, in the order of their indices.
    public var shards: [Shard] = []
    /// The statistics of all records; nil until all shards are complete.
    public var statistics: ChannelStatistics?

    /// Creates the manifest of a store without any shards.
    public init(
        layout: RecordLayout, encoding: LatentEncoding?, features: [FeatureLayout] = [], resolution: Int,
        source: SourceList, imagesPerShard: Int? = nil
    ) {
        self.layout = layout
        self.encoding = encoding
        self.features = features.isEmpty ? nil : features
        self.resolution = resolution
        sourceCount = source.entries.count
        sourceChecksum = source.checksum
        classNames = source.classNames
        let sizes = [(layout.byteCount, layout.hasMirrored)] + features.map { ($0.byteCount, $0.hasMirrored) }
        let size = sizes.reduce(0) { $0 + $1.0 * ($1.1 ? 2 : 1) }
        // A shard is assembled in memory, and at most one shard of work is lost when a preparation is killed.
        self.imagesPerShard = imagesPerShard ?? min(1024, max(1, (256 << 20) / size))
    }

    /// The number of shards of the complete store.
    public var shardCount: Int { (sourceCount + imagesPerShard - 1) / imagesPerShard }

    /// The images of the source that belong to a shard.
    public func images(ofShard index: Int) -> Range<Int> {
        index * imagesPerShard..<min(sourceCount, (index + 1) * imagesPerShard)
    }

    /// The pictures that were left out, over all shards.
    public var skipped: [String] { shards.flatMap(\.skipped) }

    /// Whether a folder is a store, complete or not.
    public static func exists(in folder: String) -> Bool {
        FileManager.default.fileExists(atPath: folder + "/" + fileName)
    }

    /// Reads the manifest of the store in a folder; throws a `FileError`.
    public static func read(from folder: String) throws -> StoreManifest {
        let path = folder + "/" + fileName
        if !exists(in: folder), access(folder, R_OK) == 0 {
            throw FileError(folder, "is no store", remedy: "give a folder that `prepare` has made")
        }
        let file = try MappedFile(path: path)
        let document = try file.withBytes { try JSONValue.read($0, name: path) }
        guard document["format"]?.string == "transcend-store", let version = document["version"]?.int else {
            throw FileError(path, "is not the manifest of a store", remedy: "give a folder that `prepare` has made")
        }
        guard version == currentVersion else {
            let remedy = "use the release that wrote it, or prepare the images again"
            throw FileError(
                path, "has version \(version) of the store's format, where \(currentVersion) is known", remedy: remedy)
        }
        do {
            let manifest = try file.withBytes { try JSONDecoder().decode(StoreManifest.self, from: Data($0)) }
            guard manifest.isConsistent else { throw CocoaError(.coderReadCorrupt) }
            return manifest
        } catch {
            throw FileError(path, "is damaged", remedy: "copy the store again")
        }
    }

    /// Writes the manifest into a folder atomically.
    func write(to folder: String) throws {
        let bytes = try bytes
        try AtomicFile.write(bytes, to: folder + "/" + Self.fileName)
    }

    /// A checksum of its whole content.
    public var fingerprint: String { get throws { try bytes.withUnsafeBytes { Checksum(of: $0).text } } }

    private var bytes: [UInt8] {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
            return try [UInt8](encoder.encode(self))
        }
    }

    private var isConsistent: Bool {
        let counts = 1...1 << 40
        guard layout.isPossible, (features ?? []).allSatisfy(\.isPossible), !classNames.isEmpty,
            counts.contains(sourceCount), counts.contains(imagesPerShard)
        else { return false }
        let channels = encoding.map { [$0.shift.count, $0.scale.count] } ?? []
        return channels.allSatisfy { $0 == layout.channels || $0 == 0 && statistics == nil }
            && (layout.content == .pixels) == (encoding == nil)
            && statistics.map { $0.mean.count == layout.channels && $0.deviation.count == layout.channels } ?? true
            && zip(shards, shards.dropFirst()).allSatisfy { $0.index < $1.index }
            && shards.allSatisfy { shard in
                (0..<shardCount).contains(shard.index) && shard.byteCount > 0
                    && shard.records >= 0
                    && shard.records == images(ofShard: shard.index).count - shard.skipped.count
                    && shard.sums.areOf(layout)
            }
    }
}

/// The names and labels of the pictures that a store is made from.
public struct SourceList: Sendable {
    /// Every image, in the order in which it is stored.
    public var entries: [ImageEntry]
    /// The classes, indexed by label.
    public var classNames: [String]

    /// Creates a list whose labels index `classNames`.
    public init(entries: [ImageEntry], classNames: [String]) {
        self.entries = entries
        self.classNames = classNames
    }

    /// A checksum that changes with any name, label or class.
    var checksum: UInt32 {
        var checksum = Checksum()
        for entry in entries { Array("\(entry.name)\n\(entry.label)\n".utf8).withUnsafeBytes { checksum.add($0) } }
        for name in classNames { Array("\(name)\n".utf8).withUnsafeBytes { checksum.add($0) } }
        return checksum.value
    }
}
