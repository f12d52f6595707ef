import Formats
import Foundation
import Models
import TestSupport
import Testing
import Torch
import Transcend

private let golden = repository.path + "/Tests/Golden"

/// A folder of files that is no autoencoder, and what is said about it.
private struct Unusable: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// The path that is opened, below the folder.
    var path = ""
    /// Texts by file name.
    var texts: [String: String] = [:]
    /// Weights by file name: the shapes of their tensors.
    var weights: [String: [String: [Int]]] = [:]
    let says: String

    static let encoder = ["0.weight": [64, 3, 3, 3], "14.weight": [5, 64, 3, 3]]
    static let weightName = "diffusion_pytorch_model.safetensors"

    static let all = [
        Unusable(testDescription: "nothing there", path: "/none", says: "is not there"),
        Unusable(testDescription: "empty folder", says: "holds no autoencoder; expected are AutoencoderKL"),
        Unusable(
            testDescription: "unknown weights", path: "/a.safetensors",
            weights: ["a.safetensors": ["x": [1], "y": [2]]],
            says: "holds no known autoencoder (its tensors are x, y, ...); expected are AutoencoderKL"),
        Unusable(
            testDescription: "configuration alone", texts: ["config.json": "{}"],
            says: "has a config.json but none of diffusion_pytorch_model.safetensors,"),
        Unusable(
            testDescription: "KL without configuration", path: "/a.safetensors",
            weights: ["a.safetensors": ["encoder.conv_in.weight": [1]]], says: "without its config.json"),
        Unusable(
            testDescription: "another activation", texts: ["config.json": #"{"act_fn": "relu"}"#],
            weights: [weightName: ["encoder.conv_in.weight": [1]]],
            says: #"has act_fn "relu", which is not known; "silu" is expected"#),
        Unusable(
            testDescription: "other blocks", texts: ["config.json": #"{"down_block_types": ["Odd"]}"#],
            weights: [weightName: ["encoder.conv_in.weight": [1]]],
            says: #"has down_block_types ["Odd"], which is not known; "DownEncoderBlock2D" is expected"#),
        Unusable(
            testDescription: "wrong type", texts: ["config.json": #"{"scaling_factor": "much"}"#],
            weights: [weightName: ["encoder.conv_in.weight": [1]]], says: "a number is expected"),
        Unusable(
            testDescription: "not of pictures", texts: ["config.json": #"{"in_channels": 4}"#],
            weights: [weightName: ["encoder.conv_in.weight": [1]]],
            says: "has in_channels 4, which is not known; 3 is expected"),
        Unusable(
            testDescription: "impossible groups", texts: ["config.json": #"{"block_out_channels": [33]}"#],
            weights: [weightName: ["encoder.conv_in.weight": [1]]],
            says: "block_out_channels has 33; multiples of 32 (norm_num_groups) are expected"),
        Unusable(
            testDescription: "zero scale", texts: ["config.json": #"{"scaling_factor": 0}"#],
            weights: [weightName: ["encoder.conv_in.weight": [1]]], says: "latents are scaled by 0.0"),
        Unusable(
            testDescription: "wrong shapes", texts: ["config.json": "{}"],
            weights: [weightName: ["encoder.conv_in.weight": [1]]],
            says: "encoder.conv_in.weight is [1] instead of [64, 3, 3, 3]"),
        Unusable(
            testDescription: "encoder alone", weights: ["a_encoder.safetensors": encoder],
            says: "is an encoder alone; put the decoder beside it"),
        Unusable(
            testDescription: "two encoders",
            weights: ["a_encoder.safetensors": encoder, "b_encoder.safetensors": encoder],
            says: "holds a_encoder.safetensors, b_encoder.safetensors; give the path of one of them"),
        Unusable(
            testDescription: "five channels",
            weights: [
                "a_encoder.safetensors": encoder,
                "a_decoder.safetensors": ["1.weight": [64, 5, 3, 3], "19.weight": [3, 64, 3, 3]],
            ], says: "of no known member (5 channels); expected are"),
        Unusable(
            testDescription: "shard elsewhere", path: "/m.safetensors.index.json",
            texts: ["m.safetensors.index.json": #"{"weight_map": {"a": "../b.safetensors"}}"#],
            says: #"says that a is in "../b.safetensors"; the name of a file beside it is expected"#),
        Unusable(
            testDescription: "shard without the tensor", path: "/m.safetensors.index.json",
            texts: ["m.safetensors.index.json": #"{"weight_map": {"a": "b.safetensors"}}"#],
            weights: ["b.safetensors": ["c": [1]]], says: "b.safetensors: has no tensor \"a\""),
    ]
}

extension TrainingTests {
    @Suite struct AutoencoderFilesTests {
        private let folder: TemporaryFolder

        init() throws { folder = try TemporaryFolder() }

        private func write(_ tensors: [(name: String, tensor: Tensor)], _ name: String) throws {
            try SafetensorsFile.write(tensors, to: folder.path + "/" + name)
        }

        private func tiny(_ kind: TinyAutoencoder.Kind) -> TinyAutoencoder {
            let autoencoder = TinyAutoencoder(kind)
            autoencoder.initialise(stage: "tiny", seed: UInt64(kind.channels))
            return autoencoder
        }

        /// A tensor of every part, as a sign that the weights came back.
        private func sign(_ autoencoder: any Autoencoder) -> [Double] {
            autoencoder.parameters().map { $0.parameter.value.doubles.reduce(0, +) }
        }

        @Test func aShardedFolderIsTheSameAutoencoder() throws {
            let whole = try AutoencoderFiles.open(golden + "/autoencoder-kl")
            let all = whole.parameters().tensors
            try write(Array(all.prefix(40)), "one.safetensors")
            try write(Array(all.dropFirst(40)), "two.safetensors")
            let map = all.enumerated().map { "\"\($1.name)\": \"\($0 < 40 ? "one" : "two").safetensors\"" }
            let index = "{\"metadata\": {}, \"weight_map\": {\(map.joined(separator: ", "))}}"
            _ = try folder.file("diffusion_pytorch_model.safetensors.index.json", index.utf8)
            try FileManager.default.copyItem(
                atPath: golden + "/autoencoder-kl/config.json", toPath: folder.path + "/config.json")
            #expect(sign(try AutoencoderFiles.open(folder.path)) == sign(whole))
        }

        @Test func theConfigurationSaysScaleAndShift() throws {
            let (new, old) = try (
                AutoencoderFiles.open(golden + "/autoencoder-kl"), AutoencoderFiles.open(golden + "/autoencoder-kl-old")
            )
            #expect(new.normalisation == LatentNormalisation(shift: [0], scale: [0.18215]))
            #expect(old.normalisation == LatentNormalisation(shift: [0.1159], scale: [0.3611]))
            #expect(new.latentChannels == 4 && new.sideRatio == 2)
            #expect(old.latentChannels == 16 && old.sideRatio == 2)
        }

        /// By channel it is (z - latents_mean) * scaling_factor / latents_std.
        @Test func theConfigurationMayNormaliseByChannel() throws {
            for name in ["config.json", "diffusion_pytorch_model.safetensors"] {
                try FileManager.default.copyItem(
                    atPath: golden + "/autoencoder-kl/" + name, toPath: folder.path + "/" + name)
            }
            let text = try String(contentsOfFile: folder.path + "/config.json", encoding: .utf8)
            let more =
                #""latents_mean": [1, 2, 3, 4], "latents_std": [1, 2, 4, 8], "shift_factor": null, "scaling_factor": 2"#
            let changed = text.replacingOccurrences(of: "\"scaling_factor\": 0.18215", with: more)
            _ = try folder.file("config.json", changed.utf8)
            #expect(
                try AutoencoderFiles.open(folder.path).normalisation
                    == LatentNormalisation(shift: [1, 2, 3, 4], scale: [2, 1, 0.5, 0.25]))
        }

        /// Two files, found by either or by their folder; the shapes say which member of the family it is.
        @Test(arguments: TinyAutoencoder.Kind.allCases)
        func aPairOfFilesIsRecognised(kind: TinyAutoencoder.Kind) throws {
            let autoencoder = tiny(kind)
            for part in ["encoder", "decoder"] {
                let tensors = autoencoder.parameters().tensors.filter { $0.name.hasPrefix(part) }
                try write(
                    tensors.map { (String($0.name.dropFirst(part.count + 1)), $0.tensor.to(.F16)) },
                    "x_\(part).safetensors")
            }
            // As the files' float16 has them.
            let stored = autoencoder.parameters().map { $0.parameter.value.to(.F16).doubles.reduce(0, +) }
            for path in ["", "/x_encoder.safetensors", "/x_decoder.safetensors"] {
                let found = try AutoencoderFiles.open(folder.path + path)
                #expect(found.name == kind.name && found.normalisation == LatentNormalisation())
                #expect(sign(found) == stored, "\(path)")
            }
        }

        /// As diffusers' AutoencoderTiny writes it: the decoder's numbers are one lower.
        @Test func oneFileOfDiffusersIsRecognised() throws {
            let autoencoder = tiny(.taesd)
            let tensors = autoencoder.parameters().tensors.map { name, tensor in
                var parts = name.components(separatedBy: ".")
                if parts[0] == "decoder" { parts[1] = "\(Int(parts[1])! - 1)" }
                return ((parts[...0] + ["layers"] + parts[1...]).joined(separator: "."), tensor)
            }
            try write(tensors, "diffusion_pytorch_model.safetensors")
            _ = try folder.file("config.json", #"{"_class_name": "AutoencoderTiny"}"#.utf8)
            #expect(sign(try AutoencoderFiles.open(folder.path)) == sign(autoencoder))
        }

        @Test func partsOfTwoAutoencodersAreRefused() throws {
            for (kind, part) in [(TinyAutoencoder.Kind.taesd, "encoder"), (.taef2, "decoder")] {
                let tensors = tiny(kind).parameters().tensors.filter { $0.name.hasPrefix(part) }
                try write(
                    tensors.map { (String($0.name.dropFirst(part.count + 1)), $0.tensor) }, "x_\(part).safetensors")
            }
            let error = #expect(throws: FileError.self) { try AutoencoderFiles.open(folder.path) }
            #expect(error?.description.contains("the encoder of TAESD, ") == true)
            #expect(error?.description.contains("the decoder of TAEF2; give two files of the same") == true)
        }

        @Test(arguments: Unusable.all)
        private func whatIsNoAutoencoderSaysWhatWasExpected(unusable: Unusable) throws {
            for (name, text) in unusable.texts { _ = try folder.file(name, text.utf8) }
            for (name, shapes) in unusable.weights {
                try write(shapes.map { ($0.key, Tensor.zeros($0.value)) }, name)
            }
            let error = #expect(throws: FileError.self) { try AutoencoderFiles.open(folder.path + unusable.path) }
            let text = error?.description ?? ""
            #expect(text.hasPrefix(folder.path) && text.contains(unusable.says), "\(text)")
        }
    }
}
