import Diffusion
import Formats
import Foundation
import Models
import Torch

/// A folder with everything needed to continue training and to sample.
///
/// It holds `model.safetensors` (network and head under their published names), `ema.safetensors`,
/// `optimizer.safetensors` and `state.json`. If averages and moments are sharded over processes, they are in parts,
/// `ema-00001-of-00002.safetensors`. It contains no times, so equal runs have equal bytes. `state.json` has the
/// checksums of all files, and each is verified before use.
public struct Checkpoint: Sendable {
    /// The checkpoint's own folder, even if a run's folder was given.
    public let path: String
    /// The state of training, and its settings.
    public let state: State

    /// Opens a checkpoint's folder, or the newest checkpoint of a run or of a pipeline's last stage that has one.
    public init(_ path: String) throws {
        guard let found = Self.folder(at: path) else {
            throw FileError(
                path, "holds no checkpoint", remedy: "give a run's folder or one of its checkpoints/step-...")
        }
        self.path = found
        guard FileManager.default.fileExists(atPath: found + "/" + State.file) else {
            throw FileError(found + "/" + State.file, "is missing", remedy: Self.damageRemedy)
        }
        state = try State.read(found + "/" + State.file)
    }

    /// Whether there is a checkpoint that `init` would open.
    public static func exists(at path: String) -> Bool { folder(at: path) != nil }

    /// The folder of a checkpoint, even if its `state.json` is missing.
    private static func folder(at path: String) -> String? {
        let isThere = FileManager.default.fileExists(atPath:)
        if isThere(path + "/" + State.file) || RunDirectory.run(ofCheckpoint: path) != nil && isThere(path) {
            return path
        }
        return ([path] + Pipeline.stages.reversed().map { path + "/" + $0 }).lazy
            .compactMap(RunDirectory.newestCheckpoint).first
    }

    /// The remedy for a damaged checkpoint. A run does not decide this by itself, since continuing from an older one
    /// loses work.
    static let damageRemedy = "copy the checkpoint again, or remove its folder to use the one before it"

    /// The tensors of one of the folder's safetensors files, or of its parts; throws if one has changed since it was
    /// written.
    func file(_ name: String) throws -> any NamedTensors {
        let parts = parts(of: name)
        return parts.count == 1 ? try whole(parts[0]) : ShardedTensors(try parts.map(whole), path: path)
    }

    /// The names of a file's parts, in order; its own name if it is in one piece.
    private func parts(of name: String) -> [String] {
        if state.checksums[name] != nil { return [name] }
        let base = name.replacing(".safetensors", with: "-")
        let parts = state.checksums.keys.filter { $0.hasPrefix(base) && $0.contains("-of-") }.sorted()
        return parts.isEmpty ? [name] : parts
    }

    /// Whether the folder has a file, or its parts.
    func holds(_ name: String) -> Bool { state.checksums[parts(of: name)[0]] != nil }

    private func whole(_ name: String) throws -> SafetensorsFile {
        let path = path + "/" + name
        guard FileManager.default.fileExists(atPath: path) else {
            throw FileError(path, "is missing", remedy: Self.damageRemedy)
        }
        guard try MappedFile(path: path).withBytes(Checksum.init).text == state.checksums[name] else {
            throw FileError(
                path, "is damaged (its checksum is not that of \(State.file))", remedy: Self.damageRemedy)
        }
        return try SafetensorsFile(path: path)
    }

    /// Overwrites everything that training changes with the checkpoint's content.
    func restore(_ training: TrainingState) throws {
        guard holds(TrainingState.momentsFile) else {
            throw FileError(path, "holds no state of the optimizer", remedy: "use its weights alone with --init")
        }
        try withErrors {
            for (name, tensors) in training.content {
                let file = try file(name)
                let isShare = training.shares != nil && name != TrainingState.modelFile
                let names = Set(tensors.map(\.name))
                try (isShare ? file.mapped { names.contains($0) ? ($0, $1) : nil } : file).load(tensors)
            }
        }
        training.resume(at: state.step, skips: state.skips)
    }

    /// The checksum of the file with these weights.
    func checksum(of weights: NetworkWeights) -> String {
        let parts = parts(of: weights == .ema ? TrainingState.averageFile : TrainingState.modelFile)
        return parts.compactMap { state.checksums[$0] }.joined(separator: "+")
    }

    /// Its name and a checksum over those of all files.
    var summary: String {
        let text = state.checksums.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: "\n")
        return "\(URL(fileURLWithPath: path).lastPathComponent) with \(Checksum(of: text).text)"
    }

    /// The network with the checkpoint's weights, for inference.
    public func network(_ weights: NetworkWeights, on device: Device) throws -> SiT {
        try withErrors {
            let network = SiT(state.configuration.network, on: device)
            let file = try file(weights == .ema ? TrainingState.averageFile : TrainingState.modelFile)
            for entry in network.parameters() { entry.parameter.assign(try file.tensor(checked: entry)) }
            return network
        }
    }
}

extension TrainingState {
    static let modelFile = "model.safetensors"
    static let averageFile = "ema.safetensors"
    static let momentsFile = "optimizer.safetensors"

    /// The files of a checkpoint that this process writes, with the tensors in them.
    var files: [(name: String, tensors: [(name: String, tensor: Tensor)])] {
        guard shares != nil else { return content }
        let part = String(format: "-%05d-of-%05d.safetensors", world.rank + 1, world.size)
        return content.compactMap { name, tensors in
            if name == Self.modelFile { return world.isFirst ? (name, tensors) : nil }
            return (name.replacing(".safetensors", with: part), tensors)
        }
    }

    /// The files of a checkpoint with this process's tensors in them.
    var content: [(name: String, tensors: [(name: String, tensor: Tensor)])] {
        let names = owned.map(\.name)
        let trained = optimizer.parameters.map(\.name)
        let moments =
            zip(trained, optimizer.firstMoments).map { ("exp_avg." + $0, $1) }
            + zip(trained, optimizer.secondMoments).map { ("exp_avg_sq." + $0, $1) }
        return [
            (Self.modelFile, parameters.tensors),
            (Self.averageFile, Array(zip(names, average.averages))),
            (Self.momentsFile, moments),
        ]
    }
}

extension NamedTensors {
    /// The tensor of a parameter, whose shape must fit; other names in the file (heads) are ignored.
    fileprivate func tensor(checked entry: NamedParameter) throws -> Tensor {
        let tensor = try self.tensor(entry.name)
        guard tensor.shape == entry.parameter.value.shape else {
            throw FileError(
                path, "\(entry.name) is \(tensor.shape) instead of \(entry.parameter.value.shape)",
                remedy: "give a checkpoint of the same network")
        }
        return tensor
    }
}
