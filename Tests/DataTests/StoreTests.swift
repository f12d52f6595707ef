import Data
import Formats
import Foundation
import TestSupport
import Testing
import Torch

/// Latents of two channels and a side of 2, each number a function of its place; picture i has the label i % 3.
struct NumberedLatents: LatentSource {
    var location: String { "numbered" }
    var count = 10
    var layout = RecordLayout(content: .meanAndDeviation, type: .F32, channels: 2, side: 2, hasMirrored: true)
    var encoding = LatentEncoding(autoencoder: "numbers", shift: [0.5, 0], scale: [2, 4])

    var entries: [ImageEntry] { (0..<count).map { ImageEntry(name: "picture \($0)", label: $0 % 3) } }
    var classNames: [String] { ["a", "b", "c"] }

    /// Means i, i + 1, ...; deviations 0.25; the mirror image is negative.
    func numbers(_ index: Int, mirrored: Bool = false) -> [Float] {
        (0..<layout.elementCount).map { place in
            place >= layout.elementsPerSample ? 0.25 : (mirrored ? -1 : 1) * Float(index + place)
        }
    }

    /// As many numbers as the layout has, of which each is another one.
    func feature(_ index: Int, _ layout: FeatureLayout, mirrored: Bool) -> [Float] {
        (0..<layout.elementCount).map { Float(100 * index + $0 + layout.tokens) * (mirrored ? -0.5 : 0.5) }
    }

    func copyRecord(_ index: Int, mirrored: Bool, into record: UnsafeMutableBufferPointer<Float>) {
        _ = record.update(fromContentsOf: numbers(index, mirrored: mirrored))
    }

    /// Writes these latents as a store of shards of 4 pictures, or as far as `shards` says.
    func write(
        to path: String, type: ElementType = .F32, shards: Int = .max, skipping: Set<Int> = [],
        features: [FeatureLayout] = []
    ) throws -> StoreWriter {
        var layout = layout
        layout.type = type
        let plan = StoreManifest(
            layout: layout, encoding: encoding, features: features, resolution: 16,
            source: SourceList(entries: entries, classNames: classNames), imagesPerShard: 4)
        let writer = try StoreWriter(path: path, plan: plan)
        for shard in writer.missingShards.prefix(shards) {
            var content = ShardContent(layout: layout, features: features)
            for index in plan.images(ofShard: shard) {
                if skipping.contains(index) {
                    content.skip(entries[index].name)
                    continue
                }
                content.append(
                    [entries[index]], records: try recordBytes(numbers(index), as: type, name: "record"),
                    mirrored: try recordBytes(numbers(index, mirrored: true), as: type, name: "record"),
                    features: try features.map { one in
                        func bytes(mirrored: Bool) throws -> [UInt8] {
                            try recordBytes(feature(index, one, mirrored: mirrored), as: .F16, name: "features")
                        }
                        return EncodedFeatures(
                            plain: try bytes(mirrored: false),
                            mirrored: one.hasMirrored ? try bytes(mirrored: true) : [])
                    })
            }
            try writer.write(content, shard: shard)
        }
        return writer
    }
}

@Suite struct StoreTests {
    private let source = NumberedLatents()

    private func bytes(of folder: TemporaryFolder) throws -> [String: Data] {
        Dictionary(
            uniqueKeysWithValues: try folder.names.map {
                ($0, try Data(contentsOf: URL(fileURLWithPath: folder.path + "/" + $0)))
            })
    }

    @Test func featuresLieBesideTheRecords() throws {
        let layouts = [
            FeatureLayout(encoder: "a.pt crc32:1", tokens: 4, width: 3, hasMirrored: true),
            FeatureLayout(encoder: "b c.pt crc32:2", tokens: 2, width: 5, hasMirrored: false),
        ]
        let (folder, bare) = (try TemporaryFolder(), try TemporaryFolder())
        let store = try source.write(to: folder.path, skipping: [5], features: layouts).finish()
        #expect(store.features == layouts && store.features.map(\.name) == ["a.pt", "b c.pt"])
        let data = StoredDataset(store, draws: Draws(seed: 0))
        for index in 0..<9 {
            let place = index < 5 ? index : index + 1
            for (encoder, mirrored) in [(0, false), (0, true), (1, false)] {
                let expected = source.feature(place, layouts[encoder], mirrored: mirrored)
                let numbers = [Float](unsafeUninitializedCapacity: expected.count) { numbers, filled in
                    data.copyFeatures(index, of: encoder, mirrored: mirrored, into: numbers)
                    filled = expected.count
                }
                #expect(numbers == expected)
            }
        }
        // One without has the bytes that it had before there were any.
        _ = try source.write(to: bare.path, skipping: [5]).finish()
        let manifest = try String(contentsOfFile: bare.path + "/manifest.json", encoding: .utf8)
        #expect(!manifest.contains("\"features\""))
        let error = #expect(throws: FileError.self) { try source.write(to: bare.path, features: layouts) }
        #expect(
            error?.description.contains("is a store with features of none, not a.pt crc32:1 (4 x 3, also mirrored)")
                == true, "\(error?.description ?? "")")
    }

    @Test(arguments: [ElementType.F32, .F16]) func whatIsWrittenIsRead(type: ElementType) throws {
        let folder = try TemporaryFolder()
        let store = try source.write(to: folder.path, type: type).finish()
        #expect(store.count == 10)
        for index in 0..<10 {
            #expect(store.label(index) == index % 3)
            #expect(store.name(index) == "picture \(index)")
            for mirrored in [false, true] {
                let expected = try recordBytes(source.numbers(index, mirrored: mirrored), as: type, name: "record")
                #expect(store.withRecord(index, mirrored: mirrored) { Array($0) } == expected)
            }
        }
        #expect(try folder.names == ["manifest.json"] + (0..<3).map { "shard-0000\($0).safetensors" })
    }

    @Test func picturesThatWereLeftOutLeaveNoGap() throws {
        let folder = try TemporaryFolder()
        let store = try source.write(to: folder.path, skipping: [0, 4, 5, 6, 7, 9]).finish()
        #expect((0..<store.count).map(store.name) == [1, 2, 3, 8].map { "picture \($0)" })
        #expect(store.manifest.skipped == [0, 4, 5, 6, 7, 9].map { "picture \($0)" })
    }

    /// Means 0...7, 1...8, ... 9...16 in two channels; the squares hold the deviation of 0.25, too.
    @Test func statisticsAreThoseOfDrawnLatents() throws {
        let folder = try TemporaryFolder()
        let statistics = try #require(source.write(to: folder.path).finish().manifest.statistics)
        for channel in 0..<2 {
            let values = (0..<10).flatMap { index in (0..<4).map { Double(index + 4 * channel + $0) } }
            let mean = values.reduce(0, +) / 40
            let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 40 + 0.25 * 0.25
            #expect(abs(statistics.mean[channel] - mean) < 1e-12)
            #expect(abs(statistics.deviation[channel] - variance.squareRoot()) < 1e-12)
        }
    }

    @Test func anInterruptedStoreGoesOnAndHasTheSameBytes() throws {
        let (whole, parts) = (try TemporaryFolder(), try TemporaryFolder())
        _ = try source.write(to: whole.path, type: .F16).finish()
        for shards in [1, 1, 5] {
            // What a process leaves that is killed while it writes.
            try parts.file(".shard-00001.safetensors.partial-17", [1, 2, 3])
            let writer = try source.write(to: parts.path, type: .F16, shards: shards)
            if writer.missingShards.isEmpty { _ = try writer.finish() }
        }
        #expect(try bytes(of: parts) == bytes(of: whole))
        // A shard that was lost or cut is made anew.
        try parts.file("shard-00001.safetensors", [1, 2, 3])
        #expect(throws: FileError.self) { try PackedStore(path: parts.path) }
        _ = try source.write(to: parts.path, type: .F16).finish()
        #expect(try bytes(of: parts) == bytes(of: whole))
    }

    @Test func anUnfinishedStoreIsNotRead() throws {
        let folder = try TemporaryFolder()
        _ = try source.write(to: folder.path, shards: 2)
        let error = #expect(throws: FileError.self) { try PackedStore(path: folder.path) }
        #expect(error?.problem == "is not finished (2 of 3 shards)")
        #expect(error?.remedy == "run the same `transcend prepare` again")
    }

    @Test func aChangedByteIsFound() throws {
        let folder = try TemporaryFolder()
        let store = try source.write(to: folder.path).finish()
        var done: [Int] = []
        #expect(store.damages { done.append($0) }.isEmpty)
        #expect(done == [4, 8, 10])
        let path = folder.path + "/shard-00001.safetensors"
        var changed = try Data(contentsOf: URL(fileURLWithPath: path))
        changed[changed.count - 1] ^= 1
        try changed.write(to: URL(fileURLWithPath: path))
        #expect(store.damages { _ in }.map(\.path) == [path])
    }

    @Test func otherSettingsAndOtherImagesAreRefused() throws {
        let folder = try TemporaryFolder()
        _ = try source.write(to: folder.path)
        func refusal(_ change: (inout NumberedLatents) -> Void) throws -> String? {
            var other = source
            change(&other)
            return #expect(throws: FileError.self) { try other.write(to: folder.path) }?.description
        }
        #expect(try refusal { $0.count = 11 }?.contains("begun with other images (10, now 11)") == true)
        #expect(
            try refusal { $0.encoding.autoencoder = "letters" }?
                .contains("is a store with latents of numbers, not letters; give another --out") == true)
        #expect(try refusal { $0.layout.side = 4 }?.contains("a side of 2, not 4") == true)
        #expect(try refusal { $0.layout.hasMirrored = false }?.contains("mirrored images: true, not false") == true)
    }

    @Test func twoWritersExcludeEachOther() throws {
        let folder = try TemporaryFolder()
        let writer = try source.write(to: folder.path, shards: 1)
        let error = #expect(throws: FileError.self) { try source.write(to: folder.path) }
        #expect(error?.problem == "is being prepared by another process")
        withExtendedLifetime(writer) {}
    }

    @Test(
        arguments: [
            ([#""version" : 1"#: #""version" : 2"#], "has version 2 of the store's format, where 1 is known"),
            (["transcend-store": "something"], "is not the manifest of a store"),
            ([#""type" : "F32""#: #""type" : "U8""#], "is damaged"),
            ([#""channels" : 2"#: #""channels" : -2"#], "is damaged"),
            ([#""records" : 4"#: #""records" : 5"#], "is damaged"),
            ([#""imagesPerShard" : 4"#: #""imagesPerShard" : 9223372036854775807"#], "is damaged"),
            ([#""sourceCount" : 10"#: #""sourceCount" : 9223372036854775807"#], "is damaged"),
            ([#""records" : 4"#: #""records" : 9223372036854775807"#], "is damaged"),
            ([#""mean" : ["#: #""mean" : [1, "#], "is damaged"),
            ([#""squares" : ["#: #""squares" : [1, "#], "is damaged"),
        ] as [([String: String], String)])
    func wrongManifestsAreNamed(changes: [String: String], problem: String) throws {
        let folder = try TemporaryFolder()
        _ = try source.write(to: folder.path).finish()
        let path = folder.path + "/manifest.json"
        var text = try String(contentsOfFile: path, encoding: .utf8)
        for (old, new) in changes {
            #expect(text.contains(old))
            text = text.replacingOccurrences(of: old, with: new)
        }
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        let error = #expect(throws: FileError.self) { try PackedStore(path: folder.path) }
        #expect(error?.problem == problem)
    }

    /// Training would not notice them.
    @Test(arguments: [-1, 3])
    func labelsOfOtherClassesAreRefused(label: Int) throws {
        let folder = try TemporaryFolder()
        _ = try source.write(to: folder.path).finish()
        let path = folder.path + "/shard-00000.safetensors"
        let labels = try #require(try SafetensorsFile(path: path).entries["labels"]).range
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        try file.seek(toOffset: UInt64(labels.lowerBound + 8))
        try file.write(contentsOf: withUnsafeBytes(of: label) { Data($0) })
        try file.close()
        let error = #expect(throws: FileError.self) { try PackedStore(path: folder.path) }
        #expect(error?.path == path)
        #expect(error?.problem == "gives record 1 the label \(label), where the store has 3 classes")
    }

    @Test func otherFoldersAreLeftAlone() throws {
        let folder = try TemporaryFolder()
        try folder.file("notes.txt", [])
        let error = #expect(throws: FileError.self) { try source.write(to: folder.path) }
        #expect(error?.description == "\(folder.path): is neither empty nor a store; give another --out")
        #expect(try folder.names == ["notes.txt"])
    }

    /// x0 = (mean + deviation * n - shift) * scale, with n drawn by "posterior" of picture and epoch (METHOD, Randomness).
    @Test func latentsAreDrawnAnewInEachEpoch() throws {
        let folder = try TemporaryFolder()
        let draws = Draws(seed: 11)
        let datasets: [any Dataset] = [
            StoredDataset(try source.write(to: folder.path).finish(), draws: draws),
            try LatentDataset(source, draws: draws),
        ]
        for dataset in datasets {
            #expect(dataset.count == 10)
            #expect(dataset.channels == 2)
            #expect(dataset.side == 2)
            #expect(dataset.classNames == ["a", "b", "c"])
            #expect(dataset.label(4) == 1)
            for (epoch, mirrored) in [(0, false), (3, false), (3, true)] {
                let noise = draws.normals(.posterior, step: epoch, item: 7, count: 8)
                let record = source.numbers(7, mirrored: mirrored)
                let expected = (0..<8).map { place -> Float in
                    let z = record[place] + record[8 + place] * noise[place]
                    return place < 4 ? (z - 0.5) * 2 : z * 4
                }
                let sample = try [Float](unsafeUninitializedCapacity: 8) { buffer, filled in
                    try dataset.copyImage(7, epoch: epoch, into: buffer, mirrored: mirrored)
                    filled = 8
                }
                #expect(sample == expected)
            }
        }
    }

    @Test func numbersBeyondFloat16AreNamed() throws {
        for (value, problem) in [
            (Float.nan, "has a latent that is nan"), (.infinity, "has a latent that is inf"),
            (70_000, "has the latent 70000.0, too large for float16"),
        ] {
            let error = #expect(throws: FileError.self) { try recordBytes([0, value], as: .F16, name: "a.png") }
            #expect(error?.problem == problem && error?.path == "a.png")
        }
    }
}
