import Diffusion
import Formats
import Foundation
import TestSupport
import Testing
import Torch
import Transcend

/// Saved as the published training does, with `args` that contradict the weights.
private let golden = repository.path + "/Tests/Golden/checkpoint.pt"

/// Bytes and layouts of all tensors by name.
private func all(_ tensors: some NamedTensors) throws -> [String: [UInt8]] {
    try Dictionary(
        uniqueKeysWithValues: tensors.names.map { name in
            let layout = Array("\(tensors.layout(of: name)!)".utf8)
            return (name, try tensors.withBytes(of: name) { layout + [UInt8]($0) })
        })
}

extension TrainingTests {
    @Suite struct Interchange {
        @Test func aPublishedCheckpointSaysWhatItIs() throws {
            let imported = try CheckpointImport(PublishedCheckpoint(path: golden), heads: 2)
            let (state, c) = (imported.state, imported.state.configuration)
            #expect(state.step == 123 && c.method.name == "selfguided")
            #expect((c.network.inputSize, c.network.patchSize, c.network.channels) == (8, 2, 4))
            #expect(c.network.depth == 3 && c.network.hidden == 32 && !c.network.qkNorm)
            #expect(state.classNames.count == c.network.classes)
            #expect(c.schedule.learningRate == 1e-4 && c.diffusion.labelDrop == 0.1)
            #expect(
                imported.warnings.first
                    == "args say model = SiT-S/2, the weights have depth 3, hidden size 32, patch 2; the weights win")
        }

        @Test func importAndExportGiveBackEveryBit() throws {
            let source = try PublishedCheckpoint(path: golden)
            try withTemporaryFolder { folder in
                try CheckpointImport(source, heads: 2).write(to: folder + "/ours")
                try CheckpointExport(Checkpoint(folder + "/ours")).write(.ema, to: folder + "/back.pt")
                let back = try PublishedCheckpoint(path: folder + "/back.pt")
                #expect(back.step == source.step)
                #expect(try all(back.model) == all(source.model))
                #expect(try all(back.average) == all(source.average))
                #expect(try all(#require(back.moments)) == all(#require(source.moments)))
            }
        }

        /// Those of a method that is not known here.
        @Test func foreignHeadsAreKept() throws {
            let source = try PublishedCheckpoint(path: golden)
            try withTemporaryFolder { folder in
                let names = source.model.names.map { $0.replacingOccurrences(of: "projectors.", with: "guides.") }
                let tensors = PyTorchValue.named(names.enumerated().map { ($0.element, .tensor($0.offset)) })
                try PyTorchFile.write(
                    .named([("model", tensors), ("ema", tensors), ("steps", .int(7))]),
                    tensors: source.model.names.map { source.model.layout(of: $0)! }, to: folder + "/other.pt"
                ) { try source.model.withBytes(of: source.model.names[$0], $1) }
                let other = try PublishedCheckpoint(path: folder + "/other.pt")
                let imported = try CheckpointImport(other, heads: 2)
                #expect(imported.state.configuration.method.name == "plain")
                try imported.write(to: folder + "/ours")
                try CheckpointExport(Checkpoint(folder + "/ours")).write(.ema, to: folder + "/back.pt")
                let back = try PublishedCheckpoint(path: folder + "/back.pt")
                #expect(back.model.names.contains("guides.4.bias"))
                #expect(try all(back.model) == all(other.model) && all(back.average) == all(other.average))
            }
        }

        /// Writes a file of torch.save with the network's weights as `model`, and what else is given.
        private func write(_ more: [(String, PyTorchValue)], to path: String) throws {
            let source = try PublishedCheckpoint(path: golden).model
            let tensors = PyTorchValue.named(source.names.enumerated().map { ($0.element, .tensor($0.offset)) })
            try PyTorchFile.write(
                .named([("model", tensors)] + more), tensors: source.names.map { source.layout(of: $0)! }, to: path
            ) { try source.withBytes(of: source.names[$0], $1) }
        }

        /// As a training without averages saves it.
        @Test func aFileWithoutAveragesHasItsWeights() throws {
            try withTemporaryFolder { folder in
                try write([("ema", .none)], to: folder + "/raw.pt")
                let read = try PublishedCheckpoint(path: folder + "/raw.pt")
                #expect(try all(read.model) == all(PublishedCheckpoint(path: golden).model))
                #expect(try all(read.average) == all(read.model))
            }
        }

        /// SiT's names: GVP is cosine; VP and other predictions than the velocity are not known here.
        @Test(arguments: [("GVP", ProbabilityPath.cosine, 0), ("Linear", .linear, 0), ("VP", .linear, 1)])
        func thePathIsThatOfTheArguments(name: String, path: ProbabilityPath, unknown: Int) throws {
            try withTemporaryFolder { folder in
                let args = PyTorchValue.named([("path_type", .string(name)), ("prediction", .string("noise"))])
                try write([("args", args)], to: folder + "/sit.pt")
                let imported = try CheckpointImport(PublishedCheckpoint(path: folder + "/sit.pt"), heads: 2)
                #expect(imported.state.configuration.diffusion.path == path)
                #expect(imported.warnings.count { $0.contains("path_type = \(name)") } == unknown)
                #expect(imported.warnings.contains { $0.contains("prediction = noise, not the velocity") })
            }
        }

        @Test func aTensorUnderTwoNamesIsRefused() throws {
            try withTemporaryFolder { folder in
                let tensors = ["pos_embed", "module.pos_embed"].map { (name: $0, tensor: Tensor.full([1], 0)) }
                try SafetensorsFile.write(tensors, to: folder + "/twice.safetensors")
                let error = #expect(throws: FileError.self) {
                    try PublishedCheckpoint(path: folder + "/twice.safetensors")
                }
                #expect(error?.problem == "has two tensors that are both pos_embed without their prefixes")
            }
        }

        /// AdamW has not counted them.
        @Test func skippedStepsAreNoneOfTheOptimizers() throws {
            try withTemporaryFolder { folder in
                try train(tinyConfiguration("plain"), in: folder + "/run")
                let checkpoint = folder + "/run/checkpoints/step-0000006"
                try edit(checkpoint + "/state.json") { changing("skips.total", in: $0) { _ in 2 } }
                try CheckpointExport(Checkpoint(checkpoint)).write(.ema, to: folder + "/all.pt")
                let steps = try PyTorchTensors(PyTorchFile(path: folder + "/all.pt")).tensor("opt.state.1.step")
                #expect(steps.doubles == [4])
            }
        }

        @Test func weightsAloneAreThoseOfTheNetwork() throws {
            try withTemporaryFolder { folder in
                let source = try PublishedCheckpoint(path: golden)
                try CheckpointImport(source, heads: 2).write(to: folder + "/ours")
                let export = try CheckpointExport(Checkpoint(folder + "/ours"))
                try export.write(.raw, to: folder + "/weights.safetensors")
                try export.write(.ema, to: folder + "/folder")
                let weights = try SafetensorsFile(path: folder + "/weights.safetensors")
                let expected = try all(source.model).filter { !$0.key.hasPrefix("projectors") }
                #expect(try all(weights) == expected)
                let again = try PublishedCheckpoint(path: folder + "/folder")
                #expect(try all(again.model) == all(source.average).filter { !$0.key.hasPrefix("projectors") })
                let network = try CheckpointImport(again, heads: 2).state.configuration.network
                #expect(try network == Checkpoint(folder + "/ours").state.configuration.network)
            }
        }

        /// SiT's own code: time runs the other way, the velocity has the other sign, and half of the outputs is not used.
        @Test func originalWeightsComputeTheSameTheOtherWayAround() throws {
            let source = try PublishedCheckpoint(path: golden)
            try withTemporaryFolder { folder in
                let tensors = try source.model.names.filter { !$0.hasPrefix("projectors") }.map { name in
                    let tensor = try source.model.tensor(name)
                    guard name.hasPrefix("final_layer.linear.") else { return (name: name, tensor: tensor) }
                    let used = tensor.reshaped([4, 4, -1])
                    let all = Tensor.concatenate([used, .full(used.shape, 7)], axis: 1)
                    return (name: name, tensor: all.reshaped([32] + tensor.shape.dropFirst()))
                }
                try SafetensorsFile.write(tensors, to: folder + "/original.safetensors")
                try CheckpointImport(PublishedCheckpoint(path: folder + "/original.safetensors"), heads: 2)
                    .write(to: folder + "/turned")
                try CheckpointImport(source, heads: 2).write(to: folder + "/plain")
                let turned = try Checkpoint(folder + "/turned").network(.raw, on: .cpu)
                let plain = try Checkpoint(folder + "/plain").network(.raw, on: .cpu)
                let x = Tensor((0..<512).map { Float(sin(Double($0))) }, shape: [2, 4, 8, 8])
                let labels = Tensor([0, 1])
                let expected = plain(x, Tensor([0.75, 0.1] as [Float]), labels).velocity!
                let velocity = turned(x, Tensor([0.25, 0.9] as [Float]), labels).velocity!
                // Rounding of float32: sums of 256 cosines and sines in another order. A wrong sign or time gives about 1.
                expectClose(velocity.doubles, expected.doubles.map { -$0 }, 1e-4)
            }
        }

        @Test func headsThatNothingTellsAreAskedFor() throws {
            let source = try PublishedCheckpoint(path: golden)
            let error = #expect(throws: ConfigurationError.self) { try CheckpointImport(source) }
            #expect(error?.description.hasSuffix("give it with --heads") == true)
            let wrong = #expect(throws: ConfigurationError.self) { try CheckpointImport(source, heads: 5) }
            #expect(wrong?.description == "--heads 5: does not divide the hidden size 32; give a divisor")
        }

        /// Three steps, out to PyTorch's format, back, and three more: the bytes of six steps in one run.
        @Test(arguments: ["align", "sra"])
        func trainingContinuesFromAnImportedState(stage: String) throws {
            try withTemporaryFolder { folder in
                try train(tinyConfiguration(stage), in: folder + "/whole")
                let half = folder + "/whole/checkpoints/step-0000003"
                try CheckpointExport(Checkpoint(half)).write(.ema, to: folder + "/half.pt")
                try CheckpointImport(PublishedCheckpoint(path: folder + "/half.pt")).write(to: folder + "/half")
                #expect(try Checkpoint(folder + "/half").state.configuration.method.name == stage)
                let state = Setting("initialState", .string(folder + "/half"))
                try train(tinyConfiguration(stage, [state]), in: folder + "/rest")
                let metrics = try MetricsLog.read(path: folder + "/rest/metrics.jsonl")
                #expect(metrics.map(\.step) == [3, 4, 5])
                for file in ["model", "ema", "optimizer"] {
                    let path = "/checkpoints/step-0000006/\(file).safetensors"
                    let expected = try #require(FileManager.default.contents(atPath: folder + "/whole" + path))
                    #expect(FileManager.default.contents(atPath: folder + "/rest" + path) == expected, "\(file)")
                }
            }
        }

        @Test func anImportedNetworkTeachesAndStarts() throws {
            try withTemporaryFolder { folder in
                try train(tinyConfiguration("align"), in: folder + "/first")
                let export = try CheckpointExport(Checkpoint(folder + "/first"))
                try export.write(.raw, to: folder + "/weights.safetensors")
                try CheckpointImport(PublishedCheckpoint(path: folder + "/weights.safetensors"), heads: 2)
                    .write(to: folder + "/imported")
                let imported = JSONValue.string(folder + "/imported")
                for (run, source) in [("a", imported), ("b", .string(folder + "/first"))] {
                    let settings = [Setting("teacher", source), Setting("initialWeights", source)]
                    try train(tinyConfiguration("selfguided", settings).resolvingCheckpoints(), in: folder + "/" + run)
                }
                let model = "/checkpoints/step-0000006/model.safetensors"
                let expected = try #require(FileManager.default.contents(atPath: folder + "/b" + model))
                #expect(FileManager.default.contents(atPath: folder + "/a" + model) == expected)
                let lacking = [Setting("initialState", imported)]
                let error = #expect(throws: FileError.self) {
                    try train(tinyConfiguration("plain", lacking), in: folder + "/c")
                }
                #expect(error?.problem == "holds no state of the optimizer")
            }
        }
    }
}
