import Formats
import Foundation
import TestSupport
import Testing
import Torch
import Transcend

/// The golden file whose weights are too large for the repository.
private let needsModels = "taef2.safetensors"

extension TrainingTests {
    @Suite struct Golden {
        /// With the fused kernels, and with their twins.
        @Test(arguments: [true, false]) func everyGoldenFileOfTheMethodPasses(areFused: Bool) throws {
            let rows = try Kernels.$areFused.withValue(areFused) {
                try Verification.run(directory: repository.path + "/Tests/Golden")
            }
            for row in rows where row.outcome != .passed && row.file != needsModels {
                Issue.record("\(row.file) \(row.values): \(row.worstError) at \(row.worstName), \(row.outcome)")
            }
            // 1 of draws, 1 of paths, 5 forward passes, 4 samplers, 7 objectives, 2 trainings, 1 published checkpoint, crops,
            // pixels, latents, 5 autoencoders, 2 metrics, 1 Inception, 5 of the family, 1 DINOv2.
            #expect(Set(rows.map(\.file)).count == 38)
            let skipped = rows.filter { $0.file == needsModels }.map(\.outcome)
            #expect(skipped == [.skipped("needs taef2_encoder.pth and its decoder: --models FOLDER")])
        }

        /// The bound of bf16 is 3,000 times that of float32; an f32 run would lie 1,000 times below it.
        @Test func everyGoldenFilePassesInBf16AndTheErrorsShowIt() throws {
            let rows = try Verification.run(directory: repository.path + "/Tests/Golden", precision: .bf16)
            for row in rows where row.outcome != .passed && row.file != needsModels {
                Issue.record("\(row.file) \(row.values): \(row.worstError) at \(row.worstName), \(row.outcome)")
            }
            for row in rows where row.kind == "sit-forward" { #expect(row.worstError > 1e-3) }
        }

        @Test func aWrongWeightFails() throws {
            try withTemporaryFolder { folder in
                let source = try SafetensorsFile(path: repository.path + "/Tests/Golden/forward-latent.safetensors")
                let tensors = try source.names.map { name in
                    var tensor = try source.tensor(name).copied()
                    if name == "model.blocks.1.mlp.fc2.bias" { tensor = tensor + 0.01 }
                    return (name: name, tensor: tensor)
                }
                try SafetensorsFile.write(tensors, metadata: source.metadata, to: folder + "/wrong.safetensors")
                let rows = try Verification.run(directory: folder)
                #expect(rows.map(\.outcome) == [.failed])
            }
        }

        @Test func anUnknownKindFails() throws {
            try withTemporaryFolder { folder in
                let one = [(name: "expect.x", tensor: Tensor([Float(1)]))]
                try SafetensorsFile.write(one, metadata: ["kind": "surprise"], to: folder + "/a.safetensors")
                let rows = try Verification.run(directory: folder)
                #expect(rows.map(\.outcome) == [.broken("unknown kind of golden file")])
            }
        }

        @Test func methodsThatAreNotKnownAreNamed() throws {
            try withTemporaryFolder { folder in
                let one = [(name: "expect.x", tensor: Tensor([Float(1)]))]
                let config =
                    #"{"input_size": 8, "patch_size": 4, "channels": 4, "hidden": 8, "depth": 1, "heads": 1, "classes": 2}"#
                let metadata = [
                    "kind": "objective-family", "settings": #"{"method": "other"}"#, "config": config,
                    "tolerance": #"{"": 1e-5}"#,
                ]
                try SafetensorsFile.write(one, metadata: metadata, to: folder + "/a.safetensors")
                try SafetensorsFile.write(one, to: folder + "/weights.safetensors")
                let rows = try Verification.run(directory: folder)
                #expect(rows.map(\.outcome) == [.broken("\(folder)/a.safetensors: has the unknown method \"other\"")])
            }
        }

        @Test(arguments: ["/nowhere", ""])
        func nothingToCheckIsAnError(name: String) throws {
            try withTemporaryFolder { folder in
                _ = #expect(throws: FileError.self) { try Verification.run(directory: folder + name) }
            }
        }
    }
}
