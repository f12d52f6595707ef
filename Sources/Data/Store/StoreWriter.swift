import Formats
import Foundation

/// Writes a store shard by shard; a killed preparation can be continued, and the finished files are the same.
///
/// A shard is written atomically before the manifest that names it. Two writers of one store exclude each other.
public final class StoreWriter {
    /// The folder of the store.
    public let path: String
    /// The manifest of the shards written so far.
    public private(set) var manifest: StoreManifest

    /// The folder's descriptor, which holds the lock as long as this writer exists.
    private let folder: Int32
    /// The folders that did not exist before, the store's folder last.
    private let newFolders: [String]

    /// Begins the store described by `plan`, or continues one begun with the same plan.
    ///
    /// Throws a `FileError` if the folder holds something else or another store, or is in use. With `helps`, it only
    /// writes shards beside the owner, which has already begun the store.
    public init(path: String, plan: StoreManifest, helps: Bool = false) throws {
        if helps {
            self.path = path
            (folder, newFolders, manifest) = (-1, [], try StoreManifest.read(from: path))
            try check(plan)
            return
        }
        let newFolders = try makeFolder(path)
        let folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw FileError.system(path, "cannot be opened", code: errno) }
        guard flock(folder, LOCK_EX | LOCK_NB) == 0 else {
            close(folder)
            throw FileError(path, "is being prepared by another process", remedy: "wait for it or give another --out")
        }
        self.folder = folder
        self.newFolders = newFolders
        self.path = path
        manifest = plan
        if StoreManifest.exists(in: path) {
            manifest = try StoreManifest.read(from: path)
            try check(plan)
        } else {
            try checkEmpty()
            try manifest.write(to: path)
        }
        try removeRemains()
    }

    /// If nothing of a store could be made, nothing is left behind.
    deinit {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        // Another rank may have written a shard that is not entered yet.
        if !newFolders.isEmpty, manifest.shards.isEmpty, files == [StoreManifest.fileName] {
            unlink(path + "/" + StoreManifest.fileName)
            removeEmptyFolders(newFolders)
        }
        if folder >= 0 { closeLocked(folder) }
    }

    /// The shards that are missing or truncated.
    public var missingShards: [Int] {
        let present = manifest.shards.filter { shard in
            (try? PackedStore.checkLength(of: path + "/" + shard.file, shard)) != nil
        }
        return Set(0..<manifest.shardCount).subtracting(present.map(\.index)).sorted()
    }

    /// Writes a shard and adds it to the manifest.
    public func write(_ content: ShardContent, shard index: Int) throws {
        try enter(writeFile(content, shard: index))
    }

    /// Writes a shard without adding it to the manifest.
    public func writeFile(_ content: ShardContent, shard index: Int) throws -> StoreManifest.Shard {
        precondition(content.layout == manifest.layout && content.featureLayouts == manifest.features ?? [])
        precondition(content.entries.count + content.skipped.count == manifest.images(ofShard: index).count)
        let name = StoreShard.fileName(index)
        try content.write(to: path + "/" + name)
        let file = try MappedFile(path: path + "/" + name)
        return StoreManifest.Shard(
            index: index, file: name, records: content.entries.count, byteCount: file.count,
            checksum: file.withBytes(Checksum.init(of:)).value,
            sums: content.sums, skipped: content.skipped)
    }

    /// Adds a shard to the manifest, once its file is complete.
    public func enter(_ shard: StoreManifest.Shard) throws {
        manifest.shards = (manifest.shards.filter { $0.index != shard.index } + [shard]).sorted { $0.index < $1.index }
        manifest.statistics = nil
        try manifest.write(to: path)
    }

    /// Completes the manifest with the statistics of all records, after the last shard, and opens the store.
    public func finish() throws -> PackedStore {
        if manifest.statistics == nil {
            var sums = ChannelSums(channels: manifest.layout.channels)
            for shard in manifest.shards { sums.add(shard.sums) }
            let statistics = sums.statistics
            manifest.statistics = statistics
            if let encoding = manifest.encoding, encoding.scale.isEmpty {
                manifest.encoding?.shift = statistics.mean
                manifest.encoding?.scale = statistics.deviation.map { 1 / max($0, 1e-6) }
            }
            try manifest.write(to: path)
        }
        return try PackedStore(path: path)
    }

    /// Checks that a store is continued with the same images, layout and autoencoder.
    private func check(_ plan: StoreManifest) throws {
        func differs<Value: Equatable>(_ what: String, _ key: KeyPath<StoreManifest, Value>) throws {
            let (old, new) = (manifest[keyPath: key], plan[keyPath: key])
            guard old != new else { return }
            throw FileError(
                path, "is a store with \(what) \(old), not \(new)", remedy: "give another --out, or the same settings")
        }
        try differs("content", \.layout.content.rawValue)
        try differs("a resolution of", \.resolution)
        try differs("latents of", \.autoencoderIdentity)
        try differs("a precision of", \.precisionName)
        try differs("records of type", \.layout.type.rawValue)
        try differs("mirrored images:", \.layout.hasMirrored)
        try differs("channels:", \.layout.channels)
        try differs("a side of", \.layout.side)
        try differs("features of", \.featureNames)
        try differs("shards of images:", \.imagesPerShard)
        guard manifest.sourceCount == plan.sourceCount, manifest.sourceChecksum == plan.sourceChecksum else {
            throw FileError(
                path, "was begun with other images (\(manifest.sourceCount), now \(plan.sourceCount))",
                remedy: "give the same --data or another --out")
        }
    }

    private func checkEmpty() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: path)
        guard names.allSatisfy(Self.isRemains) else {
            throw FileError(path, "is neither empty nor a store", remedy: "give another --out")
        }
    }

    /// Removes the partial files of a killed process.
    private func removeRemains() throws {
        for name in try FileManager.default.contentsOfDirectory(atPath: path) where Self.isRemains(name) {
            unlink(path + "/" + name)
        }
    }

    private static func isRemains(_ name: String) -> Bool { name.hasPrefix(".") && name.contains(".partial-") }
}

extension StoreManifest {
    fileprivate var autoencoderIdentity: String { encoding?.identity ?? "none" }
    fileprivate var featureNames: String {
        let all = (features ?? []).map { layout in
            "\(layout.encoder) (\(layout.tokens) x \(layout.width)" + (layout.hasMirrored ? ", also mirrored)" : ")")
        }
        return all.isEmpty ? "none" : all.joined(separator: ", ")
    }
    fileprivate var precisionName: String { encoding?.precision?.rawValue ?? "none" }
}
