import Data
import Formats
import Foundation
import Models
import TestSupport
import Testing
import Torch
import Transcend

/// Makes or continues a store of their latents.
@discardableResult
private func prepare(
    _ folder: String, to out: String, _ path: String = smallAutoencoder, type: ElementType = .F32,
    precision: Precision = .f32
) throws -> PackedStore {
    let encoder = try LatentEncoder(
        AutoencoderFiles.open(path), resolution: 24, type: type, hasMirrored: true, precision: precision)
    var settings = Preparation.Settings(resolution: 24)
    settings.imagesPerShard = 4
    return try Preparation(openSource(path: folder), encoder, settings).run(to: out)
}

/// byte / 127.5 - 1 as [1, 3, H, W].
private func tensor(_ image: RGBImage) -> Tensor {
    Tensor(image.planes, shape: [1, 3, image.height, image.width]).to(.F32) / 127.5 - 1
}

extension TrainingTests {
    @Suite struct LatentStoreTests {
        /// Batches may sum in another order than one picture alone.
        @Test func aRecordIsMeanAndDeviationOfItsPicture() throws {
            try withTemporaryFolder { folder in
                try writePictures(6, to: folder + "/images")
                let store = try prepare(folder + "/images", to: folder + "/store")
                #expect(store.layout.shape == [8, 12, 12] && store.manifest.resolution == 24)
                let autoencoder = try AutoencoderFiles.open(smallAutoencoder)
                let source = try openSource(path: folder + "/images")
                for index in 0..<6 {
                    let image = try ImageFile.decode(source.read(index), name: "image")
                    for (mirrored, picture) in [(false, image), (true, image.mirrored)] {
                        let posterior = autoencoder.encode(tensor(picture))
                        let record = store.withRecord(index, mirrored: mirrored) { bytes in
                            (0..<bytes.count / 4).map {
                                Double(bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self))
                            }
                        }
                        expectClose(record, posterior.mean.doubles + posterior.deviation!.doubles, 1e-5)
                    }
                }
            }
        }

        @Test func latentsAreNotTakenForImages() throws {
            try withTemporaryFolder { folder in
                try writePictures(2, to: folder + "/images")
                try prepare(folder + "/images", to: folder + "/store")
                let error = try #require(throws: ConfigurationError.self) {
                    try TrainingData.pixels(of: folder + "/store")
                }
                #expect(error.description.contains("it holds latents; give images or a store of pixels"))
            }
        }

        /// Of drawn latents: the variance of the means and the mean of the variances together.
        @Test func theManifestTellsAutoencoderNormalisationAndStatistics() throws {
            try withTemporaryFolder { folder in
                try writePictures(6, to: folder + "/images")
                let store = try prepare(folder + "/images", to: folder + "/store", type: .F16, precision: .bf16)
                let encoding = try #require(store.manifest.encoding)
                #expect(encoding.autoencoder == "AutoencoderKL" && encoding.precision == .bf16)
                #expect(encoding.shift == [0, 0, 0, 0] && encoding.scale == [Double](repeating: 0.18215, count: 4))
                let records = (0..<6).map { store.numbers($0).map(Double.init) }
                for channel in 0..<4 {
                    let means = records.flatMap { $0[channel * 144..<(channel + 1) * 144] }
                    let deviations = records.flatMap { $0[(4 + channel) * 144..<(5 + channel) * 144] }
                    let mean = means.reduce(0, +) / 864
                    let variance = zip(means, deviations).reduce(0) { sum, pair in
                        sum + (pair.0 - mean) * (pair.0 - mean) + pair.1 * pair.1
                    }
                    let found = try #require(store.manifest.statistics)
                    expectClose([found.mean[channel]], [mean], 1e-12)
                    expectClose([found.deviation[channel]], [(variance / 864).squareRoot()], 1e-9)
                }
            }
        }

        @Test func theTinyFamilyHasMeansAlone() throws {
            let autoencoder = TinyAutoencoder(.taesd)
            autoencoder.initialise(stage: "tiny", seed: 0)
            let encoder = try LatentEncoder(autoencoder, resolution: 64, type: .F32)
            #expect(encoder.layout == RecordLayout(content: .mean, type: .F32, channels: 4, side: 8))
            #expect(encoder.encoding?.scale == [1, 1, 1, 1])
            let error = #expect(throws: ConfigurationError.self) {
                try LatentEncoder(autoencoder, resolution: 60, type: .F32)
            }
            #expect(error?.description == "--resolution 60: TAESD takes sides that are multiples of 8")
        }

        @Test func aStoreIsContinuedByItsOwnAutoencoderAlone() throws {
            try withTemporaryFolder { folder in
                let (images, store) = (folder + "/images", folder + "/store")
                try writePictures(6, to: images)
                try prepare(images, to: store)
                try FileManager.default.removeItem(atPath: store + "/shard-00001.safetensors")
                let before = try contents(of: store)

                // The same network with one number changed.
                let changed = folder + "/changed"
                try FileManager.default.copyItem(atPath: smallAutoencoder, toPath: changed)
                let weights = changed + "/diffusion_pytorch_model.safetensors"
                var bytes = try Data(contentsOf: URL(fileURLWithPath: weights))
                let entry = try #require(SafetensorsFile(path: weights).entries["encoder.conv_out.bias"])
                bytes[entry.range.lowerBound] ^= 1
                try bytes.write(to: URL(fileURLWithPath: weights))

                func refusal(_ path: String, _ precision: Precision) throws -> String {
                    let error = #expect(throws: FileError.self) {
                        try prepare(images, to: store, path, precision: precision)
                    }
                    return error?.description ?? ""
                }
                #expect(try refusal(changed, .f32).contains("is a store with latents of AutoencoderKL (weights crc32:"))
                #expect(try refusal(smallAutoencoder, .bf16).contains("is a store with a precision of f32, not bf16"))
                #expect(try contents(of: store) == before)
                try prepare(images, to: store)
                #expect(try contents(of: store).count == before.count + 1)
            }
        }

        /// 10 log10(255^2 / mean square) of the bytes that decoding the means gives, in float64.
        @Test func reconstructionsAreMeasuredAndShownBelowTheirOriginals() throws {
            try withTemporaryFolder { folder in
                try writePictures(6, to: folder + "/images")
                let store = try prepare(folder + "/images", to: folder + "/store")
                let (source, autoencoder) = (
                    try openSource(path: folder + "/images"), try AutoencoderFiles.open(smallAutoencoder)
                )
                let result = try Reconstruction(of: store, source: source, autoencoder: autoencoder, count: 3)
                let expected = try [0, 2, 4].map { index in
                    let image = try ImageFile.decode(source.read(index), name: "image")
                    let decoded = autoencoder.decode(autoencoder.encode(tensor(image)).mean).doubles
                    let bytes = decoded.map { min(255, max(0, 255 * ($0 + 1) / 2)).rounded(.down) }
                    let square = zip(bytes, image.planes).reduce(0) {
                        $0 + ($1.0 - Double($1.1)) * ($1.0 - Double($1.1))
                    }
                    return 10 * log10(255 * 255 * Double(bytes.count) / square)
                }
                expectClose(result.ratios, expected, 1e-4)
                expectClose([result.meanRatio], [expected.reduce(0, +) / 3], 1e-4)
                // Three originals in cells of 4 * 24 + 4 pixels, with room for the names of two rows.
                #expect(result.sheet.height == 2 * 100 + 4 && result.sheet.width > 3 * 100 + 4)
            }
        }
    }
}
