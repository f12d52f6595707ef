import Data
import Formats
import Foundation

extension Subject {
    /// One file of a whole store of three latents, which is made in `folder`.
    static func store(_ name: String, file: String, in folder: String) throws -> Subject {
        let layout = RecordLayout(content: .meanAndDeviation, type: .F32, channels: 2, side: 2, hasMirrored: true)
        let entries = (0..<3).map { ImageEntry(name: "\($0 % 2)/\($0).png", label: $0 % 2) }
        let plan = StoreManifest(
            layout: layout, encoding: LatentEncoding(autoencoder: "fuzz", shift: [0.5, 0], scale: [2, 4]),
            resolution: 16, source: SourceList(entries: entries, classNames: ["0", "1"]))
        let path = folder + "/" + name
        let writer = try StoreWriter(path: path, plan: plan)
        var content = ShardContent(layout: layout)
        let records = [UInt8](repeating: 0x3E, count: entries.count * layout.byteCount)
        content.append(entries, records: records, mirrored: records)
        try writer.write(content, shard: 0)
        _ = try writer.finish()

        let whole = [UInt8](try Foundation.Data(contentsOf: URL(fileURLWithPath: path + "/" + file)))
        // A shard of another length than the manifest says is refused before it is read.
        let repair = { (bytes: inout [UInt8]) in
            bytes = Array((bytes + whole.dropFirst(bytes.count)).prefix(whole.count))
        }
        return Subject(name: name, seeds: [whole], file: "\(name)/\(file)", repair: repair) { _ in try readStore(path) }
    }

    private static func readStore(_ path: String) throws {
        let store = try PackedStore(path: path)
        for index in 0..<min(store.count, 100) {
            sink ^= UInt8(truncatingIfNeeded: store.label(index) ^ store.name(index).utf8.count)
            sink ^= UInt8(truncatingIfNeeded: store.numbers(index).count)
            if store.layout.hasMirrored { store.withRecord(index, mirrored: true, touch) }
        }
        _ = store.damages { _ in }
    }
}
