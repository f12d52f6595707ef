import Data
import Diffusion
import Evaluation
import Formats
import Foundation
import TestSupport
import Testing
import Torch
import Transcend

/// Writes a program that returns means of `side` x `side` pixels as features [B, M, 3], less a half.
private func writeEncoder(side: Int = 6, halved: Bool = false, to path: String) throws {
    let source = """
        def patches(self, x):
            y = torch.avg_pool2d(x.float() / 255.0, [\(side), \(side)]) - 0.5
            return torch.transpose(torch.flatten(y, 2), 1, 2) * \(halved ? 0.5 : 1)

        """
    let bytes = TorchScript.bytes(
        name: "Encoder", source: source, tensors: [(name: "unused", tensor: Tensor([0] as [Float]))])
    try AtomicFile.write(bytes, to: path)
}

extension TrainingTests {
    /// REPA, with features from a store or computed as training goes.
    @Suite struct EncoderTrainingTests {
        private func configuration(
            _ folder: String, encoders: [String] = [], data: String? = nil, _ more: [Setting] = []
        ) throws -> TrainingConfiguration {
            let names = JSONValue.array(encoders.map { .string("\(folder)/\($0)") })
            var settings = [Setting("method.targets.encoders", names), Setting("method.alignment.weight", 2)] + more
            if let data { settings.append(Setting("data.source", .string("\(folder)/\(data)"))) }
            return try tinyConfiguration("repa", settings)
        }

        private func losses(_ run: String) throws -> [Double] {
            try MetricsLog.read(path: run + "/metrics.jsonl").map { try #require($0.values["alignmentLoss"]) }
        }

        /// Of the tensors of a checkpoint.
        private func names(_ path: String) throws -> [String] {
            try openWeights(path: Checkpoint(path).path + "/model.safetensors").names
        }

        private func prepare(
            in folder: String, encoders: [String], mirrored: Bool = true, count: Int = 20
        ) throws -> PackedStore {
            try writePictures(count, to: folder + "/images")
            let stored = try encoders.map {
                try StoredEncoder(EncoderFiles.open("\(folder)/\($0)", grid: 1), resolution: 24, hasMirrored: mirrored)
            }
            let work = Preparation(
                try openSource(path: folder + "/images"), PixelEncoder(resolution: 24), features: stored,
                Preparation.Settings(resolution: 24))
            return try work.run(to: folder + "/store")
        }

        @Test func storedFeaturesAreThoseThatAreComputed() throws {
            try withTemporaryFolder { folder in
                try writeEncoder(to: folder + "/a.pt")
                try writeEncoder(side: 3, to: folder + "/b.pt")
                let store = try prepare(in: folder, encoders: ["a.pt", "b.pt"])
                #expect(store.features.map(\.tokens) == [16, 64] && store.features.map(\.width) == [3, 3])
                #expect(store.text.contains("16 x 3 of a.pt crc32:"))
                let resample = [Setting("method.targets.fit", "resample"), Setting("data.flips", true)]
                // In another order than they are stored.
                let stored = try configuration(folder, encoders: ["b.pt", "a.pt"], data: "store", resample)
                #expect(stored.method.targets?.widths == [3, 3])
                try train(stored, in: folder + "/stored")
                let computed = try configuration(folder, encoders: ["b.pt", "a.pt"], data: "images", resample)
                try train(computed, in: folder + "/computed")
                // Float16 keeps 11 bits of each number, of which a cosine has a mean over many.
                let pairs = zip(try losses(folder + "/stored"), try losses(folder + "/computed"))
                #expect(pairs.allSatisfy { abs($0 - $1) < 2e-4 }, "\(Array(pairs))")
                #expect(try losses(folder + "/stored").last! < -0.1, "nothing is followed")
            }
        }

        /// All that the store holds, without a word; the run goes on to the same bytes.
        @Test func aRunOnStoredFeaturesIsContinued() throws {
            try withTemporaryFolder { folder in
                try writeEncoder(to: folder + "/a.pt")
                _ = try prepare(in: folder, encoders: ["a.pt"])
                try train(configuration(folder, data: "store"), in: folder + "/whole")
                try train(configuration(folder, data: "store", [Setting("steps", 3)]), in: folder + "/parts")
                try train(configuration(folder, data: "store"), in: folder + "/parts")
                let last = "/checkpoints/step-0000006"
                #expect(try contents(of: folder + "/parts" + last) == contents(of: folder + "/whole" + last))
                #expect(try names(folder + "/whole").contains("projectors.0.4.weight"))
            }
        }

        /// Each micro-batch follows the features of its own pictures, stored or computed; only the order of sums is another one.
        @Test(arguments: ["store", "images"]) func microBatchesFollowTheirOwnPictures(data: String) throws {
            try withTemporaryFolder { folder in
                try writeEncoder(to: folder + "/a.pt")
                _ = try prepare(in: folder, encoders: ["a.pt"])
                for (run, parts) in [("whole", 1), ("parts", 4)] {
                    let parts = [Setting("accumulation", .int(Int64(parts)))]
                    try train(configuration(folder, encoders: ["a.pt"], data: data, parts), in: "\(folder)/\(run)")
                }
                let pairs = zip(try losses(folder + "/whole"), try losses(folder + "/parts"))
                #expect(pairs.allSatisfy { abs($0 - $1) < 1e-5 }, "\(Array(pairs))")
            }
        }

        @Test func afterTheStopStepNoFeaturesAreNeeded() throws {
            try withTemporaryFolder { folder in
                try writeEncoder(to: folder + "/a.pt")
                let stop = [Setting("method.alignment.stopStep", 3)]
                try train(configuration(folder, encoders: ["a.pt"], stop), in: folder + "/run")
                let rows = try MetricsLog.read(path: folder + "/run/metrics.jsonl")
                #expect(rows.map { $0.values["alignmentLoss"] != nil } == [true, true, true, false, false, false])
            }
        }

        @Test func whatDoesNotFitIsRefusedInOneSentence() throws {
            try withTemporaryFolder { folder in
                try writeEncoder(to: folder + "/a.pt")
                try writeEncoder(side: 4, to: folder + "/b.pt")
                func refusal(_ configuration: @autoclosure () throws -> TrainingConfiguration) -> String {
                    let error = #expect(throws: (any Error).self) { try train(configuration(), in: folder + "/run") }
                    return error.map { "\($0)" } ?? ""
                }
                #expect(refusal(try self.configuration(folder)).contains("pictures holds no features of encoders"))
                #expect(
                    refusal(try self.configuration(folder, encoders: ["b.pt"])).contains(
                        "b.pt has 36 tokens, the network 16; give --set method.targets.fit=resample"))
                #expect(
                    refusal(
                        try self.configuration(
                            folder, encoders: ["a.pt"], [Setting("method.targets.widths", [5])])
                    ).contains("have the sizes [3], not [5]"))
                _ = try prepare(in: folder, encoders: ["a.pt"], mirrored: false)
                #expect(
                    refusal(try self.configuration(folder, data: "store", [Setting("data.flips", true)]))
                        .contains("holds no features of mirror images by a.pt"))
            }
        }

        /// A file is followed by what it holds, not by its name.
        @Test func anotherFileOfTheSameNameIsRefused() throws {
            try withTemporaryFolder { folder in
                try writeEncoder(to: folder + "/a.pt")
                _ = try prepare(in: folder, encoders: ["a.pt"])
                let computed = try configuration(folder, encoders: ["a.pt"], [Setting("steps", 3)])
                try train(computed, in: folder + "/run")
                try writeEncoder(side: 6, halved: true, to: folder + "/a.pt")
                let stored = #expect(throws: ConfigurationError.self) {
                    try self.configuration(folder, encoders: ["a.pt"], data: "store")
                }
                #expect(stored?.description.contains("holds features of another file of that name") == true)
                let longer = try configuration(folder, encoders: ["a.pt"])
                let continued = #expect(throws: ConfigurationError.self) { try train(longer, in: folder + "/run") }
                #expect(continued?.description.contains("the run began with a.pt crc32:") == true)
            }
        }

        /// Of a picture of 12 x 12 pixels by a program with a YAML beside it, if there is a text.
        private func features(in folder: String, yaml: String? = nil) throws -> [Double] {
            try writeEncoder(to: folder + "/a.pt")
            try yaml.map { try Data($0.utf8).write(to: URL(fileURLWithPath: folder + "/a.yaml")) }
            let images = Tensor((0..<3 * 12 * 12).map { UInt8($0 % 250) }, shape: [1, 3, 12, 12])
            let encoder = try EncoderFiles.open(folder + "/a.pt", grid: 1)
            return try encoder(images).doubles
        }

        @Test func aYAMLBesideAProgramSaysWhatItExpects() throws {
            try withTemporaryFolder { folder in
                // The program divides by 255 what are numbers around 0 now.
                let bytes = try features(in: folder).map { ($0 + 0.5) * 255 }
                let normalised = try features(
                    in: folder, yaml: "mean: [0.5, 0.5, 0.5]\ndeviation: [0.25, 0.25, 0.25]\n")
                expectClose(normalised, bytes.map { ($0 / 255 - 0.5) / 0.25 / 255 - 0.5 }, 1e-5)
                #expect(try features(in: folder, yaml: "side: 24\n").count == 4 * bytes.count)
            }
        }

        @Test(arguments: [
            ("sides: 24", "a.yaml:1:1: there is no sides; an encoder has side, mean and deviation"),
            ("mean: 3", "a.yaml:1:1: mean is three numbers, those"),
            ("deviation: [0, 1, 1]", "a.yaml:1:1: deviation is three numbers, above 0, those"),
            ("side: 0", "a.yaml:1:1: side is a number of pixels"),
        ]) func aWrongYAMLIsNamedByItsLine(text: String, problem: String) throws {
            try withTemporaryFolder { folder in
                let error = #expect(throws: ConfigurationError.self) { try self.features(in: folder, yaml: text) }
                #expect(error?.description.contains(problem) == true, "\(error?.description ?? "")")
            }
        }

        /// Of names that a published checkpoint has.
        @Test func anImportKnowsTheHeadsOfREPA() throws {
            try withTemporaryFolder { folder in
                try writeEncoder(to: folder + "/a.pt")
                try train(configuration(folder, encoders: ["a.pt"]), in: folder + "/run")
                try CheckpointExport(Checkpoint(folder + "/run")).write(.ema, to: folder + "/all.pt")
                let imported = try CheckpointImport(PublishedCheckpoint(path: folder + "/all.pt"))
                let method = imported.state.configuration.method
                #expect(method.name == "repa" && method.targets?.widths == [3])
                try imported.write(to: folder + "/back")
                #expect(try names(folder + "/back") == names(folder + "/run"))
            }
        }
    }
}
