import Diffusion
import Formats
import Foundation
import Models
import Torch

/// Writes a checkpoint in formats that other programs read.
public struct CheckpointExport {
    private let checkpoint: Checkpoint

    /// Creates an export; nothing of the checkpoint is read before `write`.
    public init(_ checkpoint: Checkpoint) { self.checkpoint = checkpoint }

    /// File extensions that are refused in folder names.
    private static let otherFiles: Set = ["onnx", "ckpt", "npz", "npy", "gguf", "h5", "msgpack", "zip", "tar"]

    private var network: SiTConfiguration { checkpoint.state.configuration.network }

    /// Writes `NAME.safetensors` or a folder with `config.json` and `diffusion_pytorch_model.safetensors` (the
    /// network's weights alone), or `NAME.pt` (everything, as published training code saves it); `weights` selects
    /// those of the first two. A file appears when it is complete. Throws a `FileError`.
    public func write(_ weights: NetworkWeights, to path: String) throws {
        try withErrors {
            switch URL(fileURLWithPath: path).pathExtension.lowercased() {
            case "pt", "pth", "bin": try writePyTorch(to: path)
            case "safetensors": try writeWeights(weights, to: path)
            case let other where Self.otherFiles.contains(other):
                throw ConfigurationError(
                    "--out \(path): weights are not written as .\(other); give .safetensors, .pt or a folder")
            default:
                // Before the folder is made, which a damaged checkpoint would leave behind.
                _ = try file(of: weights)
                let newFolders = try prepareFolder(path)
                defer { removeEmptyFolders(newFolders) }
                try writeWeights(weights, to: path + "/" + PublishedCheckpoint.folderFile)
                let text = description.text(.pretty) + "\n"
                try AtomicFile.write(text, to: path + "/config.json")
            }
        }
    }

    /// Prepares the folder. It may hold an earlier export, which is replaced, but nothing else: its `config.json` must
    /// not be a run's.
    private func prepareFolder(_ path: String) throws -> [String] {
        let newFolders = try makeFolder(path)
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).filter { !$0.hasPrefix(".") }
        guard names.isEmpty || names.contains(PublishedCheckpoint.folderFile) else {
            throw FileError(
                path, "is neither empty nor an earlier export",
                remedy: "give another folder, NAME.safetensors or NAME.pt as --out")
        }
        return newFolders
    }

    /// Writes the network's parameters in PyTorch's order, without those of a head.
    private func writeWeights(_ weights: NetworkWeights, to path: String) throws {
        let file = try file(of: weights)
        let names = SiT(network, on: .meta).parameters().map(\.name)
        try SafetensorsFile.write(
            try names.map { ($0, try file.tensor($0)) }, metadata: ["format": "pt"], to: path)
    }

    private func file(of weights: NetworkWeights) throws -> any NamedTensors {
        try checkpoint.file(weights == .ema ? TrainingState.averageFile : TrainingState.modelFile)
    }

    /// The network's shape in the terms of the published code.
    private var description: JSONValue {
        let c = network
        return [
            "_class_name": "SiT", "input_size": .int(Int64(c.inputSize)), "patch_size": .int(Int64(c.patchSize)),
            "in_channels": .int(Int64(c.channels)), "hidden_size": .int(Int64(c.hidden)),
            "depth": .int(Int64(c.depth)), "num_heads": .int(Int64(c.heads)), "mlp_ratio": .number(c.mlpRatio),
            "num_classes": .int(Int64(c.classes)), "qk_norm": .bool(c.qkNorm),
        ]
    }

    // MARK: - PyTorch

    private func writePyTorch(to path: String) throws {
        var tensors = TensorList()
        let other = try optionalFile(CheckpointImport.otherFile)
        let method = checkpoint.state.configuration.method.method
        let known =
            SiT(network, on: .meta).parameters().map(\.name)
            + method.objective(for: network, teacher: nil, on: .meta).parameters().map(\.name)
        var names = known
        names += other?.names.filter { $0.hasPrefix("model.") }.map { String($0.dropFirst("model.".count)) } ?? []

        func weights(_ name: String, prefix: String) throws -> PyTorchValue {
            let file = try checkpoint.file(name)
            return .named(
                try names.compactMap { name in
                    if file.layout(of: name) != nil { return (name, tensors.add(try file.tensor(name))) }
                    guard let other, other.layout(of: prefix + name) != nil else { return nil }
                    return (name, tensors.add(try other.tensor(prefix + name)))
                })
        }
        var members = [
            ("model", try weights(TrainingState.modelFile, prefix: "model.")),
            ("ema", try weights(TrainingState.averageFile, prefix: "ema.")),
        ]
        if let moments = try optionalFile(TrainingState.momentsFile) {
            members.append(("opt", try optimizer(names, [moments] + (other.map { [$0] } ?? []), &tensors)))
        }
        members += [("args", arguments), ("steps", .int(checkpoint.state.step))]
        try PyTorchFile.write(.named(members), tensors: tensors.layouts, to: path) { index, append in
            try tensors.values[index].withHostBytes(append)
        }
    }

    /// Opens a file that not every checkpoint has.
    private func optionalFile(_ name: String) throws -> (any NamedTensors)? {
        checkpoint.holds(name) ? try checkpoint.file(name) : nil
    }

    /// AdamW's state dict, in which parameters are numbered in the order of `names`.
    private func optimizer(
        _ names: [String], _ files: [any NamedTensors], _ tensors: inout TensorList
    ) throws -> PyTorchValue {
        var state: [(key: PyTorchValue, value: PyTorchValue)] = []
        for (index, name) in names.enumerated() {
            let slots = try ["exp_avg", "exp_avg_sq"].compactMap { slot -> (String, PyTorchValue)? in
                guard let file = files.first(where: { $0.layout(of: "\(slot).\(name)") != nil }) else { return nil }
                return (slot, tensors.add(try file.tensor("\(slot).\(name)")))
            }
            if slots.isEmpty { continue }
            let step = tensors.add(.full([], Double(checkpoint.state.step - checkpoint.state.skips.total)))
            state.append((.int(index), .named([("step", step)] + slots)))
        }
        let c = checkpoint.state.configuration
        let group: [(String, PyTorchValue)] = [
            ("lr", .double(c.schedule.learningRate)),
            ("betas", .tuple([.double(c.optimizer.adamW.beta1), .double(c.optimizer.adamW.beta2)])),
            ("eps", .double(c.optimizer.adamW.epsilon)), ("weight_decay", .double(c.optimizer.adamW.weightDecay)),
            ("amsgrad", .bool(false)), ("maximize", .bool(false)), ("foreach", .none), ("capturable", .bool(false)),
            ("differentiable", .bool(false)), ("fused", .none), ("decoupled_weight_decay", .bool(true)),
            ("params", .list(names.indices.map { .int($0) })),
        ]
        return .named([("state", .dictionary(state)), ("param_groups", .list([.named(group)]))])
    }

    private var arguments: PyTorchValue {
        let (c, all) = (network, checkpoint.state.configuration)
        var members: [(String, PyTorchValue)] = [
            ("input_size", .int(c.inputSize)), ("patch_size", .int(c.patchSize)), ("in_channels", .int(c.channels)),
            ("hidden_size", .int(c.hidden)), ("depth", .int(c.depth)), ("num_heads", .int(c.heads)),
            ("num_classes", .int(c.classes)), ("qk_norm", .bool(c.qkNorm)), ("batch_size", .int(all.batch)),
            ("path_type", .string(all.diffusion.path.rawValue)), ("cfg_prob", .double(all.diffusion.labelDrop)),
        ]
        if let size = SiTConfiguration.sizes.first(where: { $0.hidden == c.hidden && $0.depth == c.depth }) {
            members.insert(("model", .string("SiT-\(size.name)/\(c.patchSize)")), at: 0)
        }
        return .named(members)
    }
}

/// Tensors in the order in which a file will store them.
private struct TensorList {
    private(set) var values: [Tensor] = []

    var layouts: [TensorLayout] { values.map { TensorLayout($0.type, $0.shape) } }

    mutating func add(_ tensor: Tensor) -> PyTorchValue {
        values.append(tensor)
        return .tensor(values.count - 1)
    }
}
