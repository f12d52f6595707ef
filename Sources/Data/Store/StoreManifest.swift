import Formats
import Foundation

/// What a packed store holds, as its `manifest.json` says.
///
/// It is written anew after every shard, so that it names exactly the shards that are whole.
public struct StoreManifest: Codable, Equatable, Sendable {
    /// The name of the file in a store's folder.
    public static let fileName = "manifest.json"
    /// The version of the format that is written and read.
    public static let currentVersion = 1

    /// One file of records.
    public struct Shard: Codable, Equatable, Sendable {
        /// Its number, which says which images of the source it holds.
        public var index: Int
        /// The path of the file, relative to the store.
        public var file: String
        /// Pictures in it; those that were left out are not counted.
        public var records: Int
        /// The length of the file.
        public var byteCount: Int
        /// The CRC-32 of the file.
        public var checksum: UInt32
        /// Over the shard's numbers, so that statistics need no second pass.
        public var sums: ChannelSums
        /// The images that could not be read and were left out.
        public var skipped: [String]
    }

    /// What tells a manifest from other JSON.
    public private(set) var format = "transcend-store"
    /// Of the format; another one than `currentVersion` is not read.
    public private(set) var version = Self.currentVersion
    /// The type and shape of every record.
    public var layout: RecordLayout
    /// Nil for pixels.
    public var encoding: LatentEncoding?
    /// What is stored of each picture besides; nil where there is nothing.
    public var features: [FeatureLayout]?
    /// The side of the pictures in pixels; 0 where it is not known.
    public var resolution: Int
    /// The number of images of the source.
    public var sourceCount: Int
    /// A CRC-32 of the names, labels and classes of the source, so that a store is continued only with the same images.
    public var sourceChecksum: UInt32
    /// The classes, indexed by label.
    public var classNames: [String]
    /// How many images of the source each shard stands for, save the last.
    public var imagesPerShard: Int
    /// In the order of their numbers.
    public var shards: [Shard] = []
    /// Of all records; nil until all shards are there.
    public var statistics: ChannelStatistics?

    /// The manifest of a store without any shard.
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
        // A shard is put together in memory, and what is lost when a preparation is killed is at most one of them.
        self.imagesPerShard = imagesPerShard ?? min(1024, max(1, (256 << 20) / size))
    }

    /// Of the complete store.
    public var shardCount: Int { (sourceCount + imagesPerShard - 1) / imagesPerShard }

    /// The images of the source that a shard stands for.
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

    /// Writes the manifest into a folder, whole or not at all.
    func write(to folder: String) throws {
        let bytes = try bytes
        try AtomicFile.write(bytes, to: folder + "/" + Self.fileName)
    }

    /// A checksum of all that it says.
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

/// The names and labels of the pictures that a store is made of.
public struct SourceList: Sendable {
    /// Every image, in the order in which it is stored.
    public var entries: [ImageEntry]
    /// The classes, indexed by label.
    public var classNames: [String]

    /// Labels index `classNames`.
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
