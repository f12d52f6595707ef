import Data
import Formats
import Foundation
import TestSupport
import Testing
import Torch
import Transcend

/// Stands for an autoencoder: the latent of a picture is its first channel, halved; the deviation is 0.5.
private final class HalvingEncoder: PictureEncoder {
    let layout = RecordLayout(content: .meanAndDeviation, type: .F16, channels: 1, side: 24, hasMirrored: true)
    let encoding: LatentEncoding? = LatentEncoding(autoencoder: "halves", shift: [0], scale: [4])
    /// How often pictures are encoded before the work breaks off.
    private var calls: Int

    struct Stopped: Error {}

    init(calls: Int = .max) {
        self.calls = calls
    }

    func encode(_ pictures: [RGBImage]) throws -> [UInt8] {
        calls -= 1
        if calls < 0 { throw Stopped() }
        let numbers = pictures.flatMap { picture in
            picture.planes.prefix(24 * 24).map { Float($0) / 510 } + [Float](repeating: 0.5, count: 24 * 24)
        }
        return try recordBytes(numbers, as: .F16, name: "pictures")
    }
}

@Suite struct PreparationTests {
    /// Embedded pictures of two classes as PNG files, a little larger than what is cut out.
    private func images(_ count: Int) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try writePictures(count, side: 28, to: folder.path)
        return folder
    }

    private func settings(_ change: (inout Preparation.Settings) -> Void = { _ in }) -> Preparation.Settings {
        var settings = Preparation.Settings(resolution: 24)
        settings.batch = 3
        settings.imagesPerShard = 8
        change(&settings)
        return settings
    }

    @Test func picturesAreCroppedAndPacked() throws {
        let (folder, out) = (try images(21), try TemporaryFolder())
        let source = try openSource(path: folder.path)
        var done: [Int] = []
        let store = try Preparation(source, PixelEncoder(resolution: 24), settings()).run(to: out.path) {
            done.append($0)
        }
        #expect(done == [3, 6, 8, 11, 14, 16, 19, 21])
        #expect(store.count == 21 && store.classNames == ["0", "1"])
        for index in 0..<21 {
            #expect(store.name(index) == source.entries[index].name)
            #expect(store.label(index) == source.entries[index].label)
            let image = try ImageFile.decode(source.read(index), name: "image").centreCropped(to: 24)
            #expect(store.withRecord(index) { Array($0) } == image.planes)
        }
    }

    /// A shard takes three parts, each with its mirror images: six calls.
    @Test func whatWasBrokenOffGoesOnAndHasTheSameBytes() throws {
        let (folder, whole, parts) = (try images(21), try TemporaryFolder(), try TemporaryFolder())
        let source = try openSource(path: folder.path)
        _ = try Preparation(source, HalvingEncoder(), settings()).run(to: whole.path)
        for (calls, files) in [(5, 1), (9, 2), (9, 3)] {
            #expect(throws: HalvingEncoder.Stopped.self) {
                try Preparation(source, HalvingEncoder(calls: calls), settings()).run(to: parts.path)
            }
            #expect(try parts.names.count == files)
        }
        _ = try Preparation(source, HalvingEncoder(calls: 6), settings { $0.threads = 1 }).run(to: parts.path)
        #expect(try contents(of: parts.path) == contents(of: whole.path))
    }

    @Test func badImagesStopOrAreLeftOutByName() throws {
        let (folder, out) = (try images(12), try TemporaryFolder())
        try folder.file("0/1004.png", [1, 2, 3])
        try folder.file("1/1011.png", [])
        let source = try openSource(path: folder.path)
        let encoder = PixelEncoder(resolution: 24)
        let error = #expect(throws: FileError.self) {
            try Preparation(source, encoder, settings()).run(to: out.path)
        }
        #expect(
            error?.description == "\(folder.path)/0/1004.png: is neither a JPEG nor a PNG file; "
                + "remove it, or pass over bad images with --skip-bad-images")
        var skipped: [String] = []
        let store = try Preparation(source, encoder, settings { $0.skipsBadImages = true }).run(
            to: out.path, skipped: { skipped.append($0.path) })
        #expect(store.count == 10)
        #expect(store.manifest.skipped == ["0/1004.png", "1/1011.png"])
        #expect(skipped == ["\(folder.path)/0/1004.png", "\(folder.path)/1/1011.png"])
    }

    @Test func latentsOfOthersAreImported() throws {
        let out = try TemporaryFolder()
        let folder = repository.path + "/Tests/Golden/vae-sd"
        let source = try #require(try openLatents(path: folder))
        let store = try LatentImport(source, type: .F32).run(to: out.path)
        #expect(store.count == 3 && (0..<3).map(store.label) == [207, 0, 999])
        let array = try NumpyFile.read(path: folder + "/" + store.name(2))
        #expect(store.withRecord(2) { Array($0) } == array.bytes)
        #expect(store.manifest.encoding?.scale == [Double](repeating: 0.18215, count: 4))
    }
}

extension TrainingTests {
    @Suite struct OnStores {
        @Test func aRunOnLatentsIsContinuedToTheSameBytes() throws {
            try withTemporaryFolder { folder in
                let images = folder + "/images"
                try writePictures(12, to: images)
                var settings = Preparation.Settings(resolution: 24)
                settings.imagesPerShard = 5
                let work = Preparation(try openSource(path: images), HalvingEncoder(), settings)
                _ = try work.run(to: folder + "/store")

                let data = try TrainingData.settings(for: folder + "/store")
                #expect(data.map(\.value) == [2, 1, 24])
                func configuration(_ steps: Int) throws -> TrainingConfiguration {
                    try tinyConfiguration(
                        "align",
                        data + [
                            Setting("data.source", .string(folder + "/store")), Setting("data.flips", true),
                            Setting("steps", .int(Int64(steps))),
                        ])
                }
                try train(configuration(6), in: folder + "/whole")
                try train(configuration(3), in: folder + "/parts")
                try train(configuration(6), in: folder + "/parts")
                let files = ["model", "ema", "optimizer"].map { "/checkpoints/step-0000006/\($0).safetensors" }
                for file in files {
                    #expect(
                        FileManager.default.contentsEqual(
                            atPath: folder + "/whole" + file, andPath: folder + "/parts" + file))
                }
            }
        }

        @Test func mirroredLatentsHaveToBeThere() throws {
            try withTemporaryFolder { folder in
                let source = try #require(try openLatents(path: repository.path + "/Tests/Golden/vae-sd"))
                _ = try LatentImport(source, type: .F16).run(to: folder)
                let settings =
                    try TrainingData.settings(for: folder) + [
                        Setting("data.source", .string(folder)), Setting("data.flips", true),
                        Setting("network.patchSize", 2),
                    ]
                let error = #expect(throws: ConfigurationError.self) {
                    try TrainingData.open(tinyConfiguration("plain", settings))
                }
                #expect(error?.description.contains("holds no latents of mirror images") == true)
            }
        }
    }
}
