import Data
import Diffusion
import Formats
import Foundation
import Models
import TestSupport
import Testing
import Torch
import Transcend

extension TrainingTests {
    @Suite struct LatentSamplingTests {
        private let folder: TemporaryFolder
        private var run: String { folder.path + "/run" }
        private var store: String { folder.path + "/store" }

        /// Latents of the small autoencoder, without its help: two classes, 4 x 12 x 12.
        init() throws {
            folder = try TemporaryFolder()
            try write(store, scale: 0.5)
        }

        private func write(_ path: String, scale: Double, weights: String? = nil) throws {
            let layout = RecordLayout(content: .mean, type: .F32, channels: 4, side: 12)
            let encoding = LatentEncoding(
                autoencoder: "AutoencoderKL", weights: weights, shift: [0.1, 0, 0, -0.2],
                scale: [Double](repeating: scale, count: 4))
            let entries = (0..<8).map { ImageEntry(name: "\($0)", label: $0 % 2) }
            let source = SourceList(entries: entries, classNames: ["a", "b"])
            let writer = try StoreWriter(
                path: path, plan: StoreManifest(layout: layout, encoding: encoding, resolution: 24, source: source))
            var content = ShardContent(layout: layout)
            let numbers: [Float] = (0..<4608).map { index in Float(index * index % 23) / 11 - 1 }
            content.append(entries, records: numbers.withUnsafeBytes { Array($0) })
            try writer.write(content, shard: 0)
            _ = try writer.finish()
        }

        private func configuration(_ stage: String = "plain", _ more: [Setting] = []) throws -> TrainingConfiguration {
            try tinyConfiguration(
                stage,
                [
                    Setting("data.source", .string(store)), Setting("network.patchSize", 4), Setting("steps", 2),
                    Setting("preview.perClass", 1), Setting("preview.sampler.steps", 2),
                ] + TrainingData.settings(for: store) + more)
        }

        /// What the program does: (x / scale + shift) decoded, then 255 (x + 1) / 2 cut to a byte.
        @Test func samplesOfLatentsAreDecodedWithoutTheStore() throws {
            try train(configuration(), in: run)
            try FileManager.default.removeItem(atPath: store)
            let checkpoint = try Checkpoint(run)
            let latents = try #require(checkpoint.state.latents)
            let generator = SampleGenerator(
                network: try checkpoint.network(.ema, on: .cpu), path: .linear,
                sampler: Sampler(mode: .ode, steps: 2, guidance: Guidance(scale: 1)), seed: 3)
            let decoder = try PictureDecoder(channels: 4, latents: latents, autoencoder: smallAutoencoder, on: .cpu)
            #expect(decoder.warning == nil)
            var pictures: [RGBImage] = []
            try generator.pictures(labels: [0, 1], decoder: decoder) { pictures += $0 }

            let shift = Tensor([0.1, 0, 0, -0.2], shape: [1, 4, 1, 1])
            let z = generator(labels: [0, 1], firstItem: 0) / 0.5 + shift
            let images = try AutoencoderFiles.open(smallAutoencoder).decode(z.to(.F32))
            #expect(pictures.count == 2)
            for (index, picture) in pictures.enumerated() {
                let values = images[index].doubles
                let differences = picture.pixels.enumerated().map { place, byte -> Double in
                    let value = values[place % 3 * 576 + place / 3]
                    let expected = min(255, max(0, 255 * (value + 1) / 2)).rounded(.down)
                    return abs(Double(byte) - expected)
                }
                // The last bit of a float32 may move a number across a whole one.
                #expect(differences.max()! <= 1 && differences.filter { $0 > 0 }.count < 5)
            }
        }

        @Test func previewsAreDrawnWithTheAutoencoderAndLeftOutWithoutIt() throws {
            let drawn = [Setting("output.sampleEvery", 1)]
            try train(configuration("plain", drawn), in: run + "-without")
            #expect(try FileManager.default.contentsOfDirectory(atPath: run + "-without/samples").isEmpty)
            try train(
                configuration("plain", drawn + [Setting("preview.autoencoder", .string(smallAutoencoder))]), in: run)
            let names = try FileManager.default.contentsOfDirectory(atPath: run + "/samples")
            #expect(names.sorted() == ["step-0000001.png", "step-0000002.png"])
        }

        @Test func anAutoencoderHasToFit() throws {
            let latents = LatentEncoding(
                autoencoder: "AutoencoderKL", weights: "crc32:00000000", shift: [0, 0, 0, 0], scale: [1, 1, 1, 1])
            let wide = repository.path + "/Tests/Golden/autoencoder-kl-old"
            func problem(_ channels: Int, _ latents: LatentEncoding?, _ path: String?) throws -> String? {
                #expect(throws: ConfigurationError.self) {
                    try PictureDecoder(channels: channels, latents: latents, autoencoder: path, on: .cpu)
                }?.description
            }
            #expect(
                try problem(4, latents, nil)
                    == "the network draws latents of 4 channels (AutoencoderKL (weights crc32:00000000)); "
                    + "give their autoencoder: --autoencoder PATH")
            #expect(try problem(16, nil, nil)?.hasPrefix("the network draws latents of 16 channels; give") == true)
            #expect(try problem(4, latents, wide)?.hasSuffix("have 16 channels, those of the network 4") == true)
            #expect(try problem(3, nil, smallAutoencoder)?.hasSuffix("the network draws pixels; omit it") == true)
            let warning = try PictureDecoder(channels: 4, latents: latents, autoencoder: smallAutoencoder, on: .cpu)
                .warning
            #expect(
                warning?.hasPrefix("the network draws latents of \(latents.identity), and \(smallAutoencoder) is")
                    == true)
            var unknown = latents
            unknown.weights = nil
            #expect(
                try PictureDecoder(channels: 4, latents: unknown, autoencoder: smallAutoencoder, on: .cpu).warning
                    == nil)
        }

        /// Else samples by one decoder would be taken for those by another, as by the two that are published for one encoder.
        @Test func decodersOfOneEncoderAreTold() throws {
            try withTemporaryFolder { folder in
                let other = folder + "/other"
                try FileManager.default.copyItem(atPath: smallAutoencoder, toPath: other)
                let weights = "/diffusion_pytorch_model.safetensors"
                let file = try SafetensorsFile(path: smallAutoencoder + weights)
                let changed = try file.names.map { name in
                    let tensor = try file.tensor(name)
                    return (name: name, tensor: name == "decoder.conv_in.bias" ? tensor + 1 : tensor)
                }
                try SafetensorsFile.write(changed, to: other + weights)
                let paths = [smallAutoencoder, other]
                let encodings = try paths.map {
                    try LatentEncoder(AutoencoderFiles.open($0), resolution: 24, type: .F32).encoding
                }
                #expect(encodings[0] == encodings[1])
                let decoders = try paths.map {
                    try PictureDecoder(channels: 4, latents: encodings[0], autoencoder: $0, on: .cpu).identity
                }
                #expect(decoders[0] != decoders[1] && decoders[0].hasPrefix("AutoencoderKL (decoder crc32:"))
            }
        }

        @Test func aRunAndItsTeacherKeepTheirNormalisation() throws {
            try train(configuration(), in: run)
            try FileManager.default.removeItem(atPath: store)
            try write(store, scale: 0.25)
            let changed = #expect(throws: ConfigurationError.self) {
                try train(configuration("plain", [Setting("steps", 3)]), in: run)
            }
            #expect(changed?.description.contains("now they are of AutoencoderKL or normalised otherwise") == true)
            let taught = #expect(throws: ConfigurationError.self) {
                try train(configuration("selfguided", [Setting("teacher", .string(run))]), in: run + "-guided")
            }
            #expect(taught?.description.contains("it knows latents of AutoencoderKL in another normalisation") == true)
        }

        @Test func aPublishedCheckpointOfLatentsKnowsTheirScale() throws {
            let source = try PublishedCheckpoint(path: repository.path + "/Tests/Golden/checkpoint.pt")
            let latents = try CheckpointImport(source, heads: 4).state.latents
            #expect(latents?.shift == [0, 0, 0, 0] && latents?.scale == [Double](repeating: 0.18215, count: 4))
        }
    }
}
