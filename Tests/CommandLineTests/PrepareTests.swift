import Data
import Foundation
import TestSupport
import Testing

@Suite struct PrepareTests {
    private func arguments(_ out: String) -> [String] {
        [
            "prepare", "--data", "images", "--mode", "pixels", "--resolution", "24", "--shard-images", "8", "--out",
            out,
        ]
    }

    @Test func aKilledPreparationGoesOnAndHasTheSameBytes() throws {
        try withTemporaryFolder { folder in
            try writeImages(600, in: folder)
            #expect(try transcend(arguments("whole"), in: folder).status == 0)
            let first = folder + "/parts/shard-00000.safetensors"
            var kept: [UInt] = []
            for shards in [2, 20, 40] {
                let process = try program(arguments("parts"), in: folder)
                try process.run()
                while process.isRunning, try shardCount(folder + "/parts") < shards { usleep(200) }
                kill(process.processIdentifier, SIGKILL)
                process.waitUntilExit()
                if try shardCount(folder + "/parts") < 75 { kept.append(try fileNumber(first)) }
            }
            #expect(!kept.isEmpty, "no kill was in time")
            // What a kill within a shard leaves.
            try Data([1]).write(to: URL(fileURLWithPath: folder + "/parts/.shard-00074.safetensors.partial-1"))
            #expect(try transcend(arguments("parts"), in: folder).status == 0)
            #expect(try files(folder + "/parts") == files(folder + "/whole"))
            #expect(try kept.allSatisfy { try $0 == fileNumber(first) }, "the first shard was made anew")
        }
    }

    private func shardCount(_ store: String) throws -> Int {
        guard FileManager.default.fileExists(atPath: store) else { return 0 }
        return try FileManager.default.contentsOfDirectory(atPath: store).count { $0.hasPrefix("shard-") }
    }

    /// Another one if the file was replaced.
    private func fileNumber(_ path: String) throws -> UInt {
        try #require(FileManager.default.attributesOfItem(atPath: path)[.systemFileNumber] as? UInt)
    }

    @Test func aStoreIsTrainedOnInspectedAndVerified() throws {
        try withTemporaryFolder { folder in
            try writeImages(20, in: folder)
            let made = try transcend(arguments("store"), in: folder)
            #expect(made.status == 0 && made.output.contains("20 in 2 classes"))
            #expect(try transcend(["inspect", "store"], in: folder).output == made.output)
            let trained = try transcend(
                ["pipeline", "--data", "store", "--out", "run", "--steps", "2"] + tiny, in: folder)
            #expect(trained.status == 0, "\(trained.errors)")

            #expect(try transcend(["prepare", "--verify", "--out", "store"], in: folder).status == 0)
            let shard = folder + "/store/shard-00000.safetensors"
            var bytes = try Data(contentsOf: URL(fileURLWithPath: shard))
            bytes[bytes.count / 2] ^= 1
            try bytes.write(to: URL(fileURLWithPath: shard))
            let verified = try transcend(["prepare", "--verify", "--out", "store"], in: folder)
            #expect(verified.status == 1)
            #expect(verified.output.contains("shard-00000.safetensors: is damaged (wrong checksum)"))
            try bytes.dropLast().write(to: URL(fileURLWithPath: shard))
            let cut = try transcend(["inspect", "store"], in: folder)
            #expect(cut.status == 1 && cut.errors.contains("bytes where the manifest says"))
        }
    }

    /// From images to pictures through latents; only the run's own folder is needed in the end, beside the autoencoder.
    @Test func latentsArePreparedTrainedOnAndSampled() throws {
        try withTemporaryFolder { folder in
            try writeImages(6, in: folder)
            let prepare = [
                "prepare", "--data", "images", "--resolution", "24", "--autoencoder", smallAutoencoder, "--out",
                "store",
            ]
            let made = try transcend(prepare, in: folder)
            #expect(made.status == 0 && made.output.contains("mean and standard deviation"), "\(made.errors)")
            let store = try files(folder + "/store")
            let sheet = try transcend(prepare + ["--sheet", "sheet.png", "--sheet-images", "3"], in: folder)
            #expect(sheet.status == 0 && sheet.output.contains("PSNR of what 3 latents decode to: "), "\(sheet.errors)")
            #expect(try files(folder + "/store") == store)
            #expect(FileManager.default.fileExists(atPath: folder + "/sheet.png"))
            let other = try transcend(prepare + ["--type", "f32"], in: folder)
            #expect(other.status == 1 && other.errors.contains("is a store with records of type F16, not F32"))

            let train = ["train", "--stage", "plain", "--data", "store", "--out", "run", "--steps", "2"] + plainTiny
            let trained = try transcend(
                train + ["--autoencoder", smallAutoencoder, "--sample-every", "2"], in: folder)
            #expect(trained.status == 0 && trained.output.contains("samples/step-0000002.png"), "\(trained.errors)")
            #expect(trained.errors.contains("sample --checkpoint \(folder)/run --out"), "\(trained.errors)")
            let undecoded = try transcend(train.map { $0 == "run" ? "undecoded" : $0 }, in: folder)
            #expect(undecoded.errors.contains("/undecoded --autoencoder PATH --out"), "\(undecoded.errors)")
            try FileManager.default.removeItem(atPath: folder + "/store")
            let sample = ["sample", "--checkpoint", "run", "--count", "2", "--steps", "2", "--out"]
            let drawn = try transcend(sample + ["drawn"], in: folder)
            #expect(drawn.status == 0, "\(drawn.errors)")
            let picture = try #require(FileManager.default.contents(atPath: folder + "/drawn/000001.png"))
            #expect(try ImageFile.decode([UInt8](picture), name: "picture").width == 24)
            let none = try transcend(sample + ["none", "--autoencoder", "nowhere"], in: folder)
            #expect(none.status == 1 && none.errors.contains("nowhere: is not there"))
        }
    }
}
