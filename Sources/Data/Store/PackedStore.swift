import Formats
import Foundation

/// A finished store: pictures or latents in files of fixed-size records, mapped into memory.
///
/// Opening it maps the files and reads only the labels. Safe to use from several threads.
public struct PackedStore: Sendable {
    /// The folder of the store.
    public let location: String
    /// The store's manifest, complete and with statistics.
    public let manifest: StoreManifest
    /// The number of pictures.
    public let count: Int

    private let shards: [StoreShard]
    /// The cumulative number of pictures after each shard.
    private let ends: [Int]

    /// The type and shape of one record.
    public var layout: RecordLayout { manifest.layout }
    /// The layouts of the stored encoder features, in their order.
    public var features: [FeatureLayout] { manifest.features ?? [] }
    /// The classes, indexed by label.
    public var classNames: [String] { manifest.classNames }

    /// Opens the store in a folder; throws a `FileError` if it is unfinished, or if one of its files is missing,
    /// truncated, or has labels of other classes.
    public init(path: String) throws {
        let manifest = try StoreManifest.read(from: path)
        guard manifest.statistics != nil, manifest.shards.count == manifest.shardCount else {
            let done = "\(manifest.shards.count) of \(manifest.shardCount) shards"
            throw FileError(path, "is not finished (\(done))", remedy: "run the same `transcend prepare` again")
        }
        shards = try manifest.shards.map { shard in
            let file = path + "/" + shard.file
            try Self.checkLength(of: file, shard)
            return try StoreShard(
                path: file, shard, layout: manifest.layout, classes: manifest.classNames.count,
                features: manifest.features ?? [])
        }
        var count = 0
        ends = manifest.shards.map { shard in
            count += shard.records
            return count
        }
        guard count > 0 else { throw FileError(path, "holds no pictures", remedy: "prepare other images") }
        self.manifest = manifest
        self.count = count
        location = path
    }

    /// The class of a picture, counted from 0.
    public func label(_ index: Int) -> Int {
        let (shard, place) = place(of: index)
        return shard.label(place)
    }

    /// The name that a picture has in its source.
    public func name(_ index: Int) -> String {
        let (shard, place) = place(of: index)
        return shard.name(place)
    }

    /// Calls `body` with the bytes of a picture's record, or of its mirror image, which the layout must have.
    public func withRecord<Result>(
        _ index: Int, mirrored: Bool = false, _ body: (UnsafeRawBufferPointer) throws -> Result
    ) rethrows -> Result {
        let (shard, place) = place(of: index)
        return try shard.withRecord(place, mirrored: mirrored, body)
    }

    /// Writes the features [tokens, width] of a picture, or of its mirror image, by one of the encoders.
    public func copyFeatures(
        _ index: Int, of encoder: Int, mirrored: Bool, into numbers: UnsafeMutableBufferPointer<Float>
    ) {
        let (shard, place) = place(of: index)
        shard.withFeatures(place, of: encoder, mirrored: mirrored) { copyNumbers($0, of: .F16, into: numbers) }
    }

    /// The elements of a picture's record; pixels as byte / 127.5 - 1.
    public func numbers(_ index: Int) -> [Float] {
        [Float](unsafeUninitializedCapacity: layout.elementCount) { numbers, filled in
            let record = UnsafeMutableBufferPointer(rebasing: numbers[..<layout.elementCount])
            withRecord(index) { copyNumbers($0, of: layout.type, into: record) }
            filled = record.count
        }
    }

    /// Reads all files and verifies their checksums; returns an error for each damaged file.
    ///
    /// `progress` is called with the number of records verified so far.
    public func damages(progress: (Int) -> Void) -> [FileError] {
        zip(manifest.shards, ends).compactMap { shard, end in
            defer { progress(end) }
            let path = location + "/" + shard.file
            do {
                if try MappedFile(path: path).withBytes(Checksum.init(of:)).value == shard.checksum { return nil }
                return FileError(
                    path, "is damaged (wrong checksum)", remedy: "remove it and run the same `transcend prepare` again")
            } catch { return error as? FileError ?? FileError(path, "\(error)") }
        }
    }

    /// Throws if a shard is missing or truncated.
    static func checkLength(of path: String, _ shard: StoreManifest.Shard) throws {
        var status = stat()
        guard stat(path, &status) == 0 else { throw FileError.system(path, "cannot be opened", code: errno) }
        guard Int(status.st_size) == shard.byteCount else {
            throw FileError(
                path, "has \(status.st_size) bytes where the manifest says \(shard.byteCount)",
                remedy: "run the same `transcend prepare` again, which makes it anew")
        }
    }

    /// The shard that holds a picture and the index in it: the first shard that ends after the picture.
    private func place(of index: Int) -> (StoreShard, Int) {
        precondition(index >= 0 && index < count)
        var (low, high) = (0, ends.count - 1)
        while low < high {
            let middle = (low + high) / 2
            if ends[middle] > index { high = middle } else { low = middle + 1 }
        }
        return (shards[low], low == 0 ? index : index - ends[low - 1])
    }
}
