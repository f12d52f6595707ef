import Diffusion
import Formats
import Foundation
import Models
import Torch

/// A folder with everything that training needs to go on and that sampling needs to begin.
///
/// `model.safetensors` (network and head under their published names), `ema.safetensors`, `optimizer.safetensors`,
/// `state.json`. It holds no times, so that equal runs have equal bytes.
public struct Checkpoint: Sendable {
    /// What the folder's `state.json` says.
    public struct State: Codable, Sendable {
        /// Of the layout of checkpoints.
        public var formatVersion = Checkpoint.formatVersion
        /// Of the addresses of random numbers.
        public var drawsVersion = Draws.formatVersion
        /// Updates made.
        public var step: Int
        public var classNames: [String]
        /// Images in the data set.
        public var imageCount: Int
        public var configuration: TrainingConfiguration
    }

    static let formatVersion = 1
    public let path: String
    public let state: State

    /// Opens a checkpoint's folder, or the newest checkpoint of a run or of a pipeline's last stage that has one.
    public init(_ path: String) throws {
        let folders =
            [path]
            + ([path] + Pipeline.stages.reversed().map { path + "/" + $0 }).compactMap {
                RunDirectory.newestCheckpoint(in: $0)
            }
        guard let found = folders.first(where: { FileManager.default.fileExists(atPath: $0 + "/state.json") }) else {
            throw FileError(
                path, "holds no checkpoint", remedy: "give a run's folder or one of its checkpoints/step-...")
        }
        let document = try JSONValue.read(path: found + "/state.json")
        guard document["formatVersion"]?.int == Self.formatVersion else {
            throw FileError(
                found,
                "has format version \(document["formatVersion"]?.text() ?? "none"), this program reads "
                    + "\(Self.formatVersion)", remedy: "use the version of transcend that wrote it")
        }
        self.path = found
        do {
            state = try ConfigurationTree.decode(State.self, from: document)
            if let problem = state.problem { throw ConfigurationError(problem) }
        } catch {
            throw FileError(found + "/state.json", "cannot be understood (\(error))")
        }
    }

    /// Writes a checkpoint beside its final place and renames it when it is complete and on the disk.
    static func write(_ training: TrainingState, state: State, to path: String) throws {
        let url = URL(fileURLWithPath: path)
        let partial = url.deletingLastPathComponent().path + "/.partial-" + url.lastPathComponent
        try? FileManager.default.removeItem(atPath: partial)
        try makeFolder(partial)
        do {
            for (name, tensors) in training.files {
                try SafetensorsFile.write(tensors, to: partial + "/" + name)
            }
            let text = try ConfigurationTree.tree(of: state).text(.pretty) + "\n"
            try AtomicFile.write(to: partial + "/state.json") { try $0.write(Array(text.utf8)) }
            if rename(partial, path) != 0 { throw FileError.system(path, "rename", code: errno) }
        } catch {
            try? FileManager.default.removeItem(atPath: partial)
            throw error
        }
        try synchronizeFolder(url.deletingLastPathComponent().path)
    }

    /// Overwrites everything that training changes with what the checkpoint holds.
    func restore(_ training: TrainingState) throws {
        try withErrors {
            for (name, tensors) in training.files {
                try SafetensorsFile(path: path + "/" + name).load(tensors)
            }
        }
        training.resume(at: state.step)
    }

    /// The network with the checkpoint's weights, without gradients in mind.
    public func network(_ weights: NetworkWeights, on device: Device) throws -> SiT {
        try withErrors {
            let network = SiT(state.configuration.network, on: device)
            let file = try SafetensorsFile(path: path + (weights == .ema ? "/ema.safetensors" : "/model.safetensors"))
            for entry in network.parameters() { entry.parameter.assign(try file.tensor(checked: entry)) }
            return network
        }
    }
}

extension Checkpoint.State {
    /// What is impossible in a file that claims to be a state; nil if nothing is.
    fileprivate var problem: String? {
        if drawsVersion != Draws.formatVersion {
            return "its random numbers are of version \(drawsVersion), this program makes \(Draws.formatVersion)"
        }
        if let problem = configuration.network.problem { return problem }
        if !(0...TrainingConfiguration.largestStep).contains(step) { return "its step is \(step)" }
        if classNames.count != configuration.network.classes {
            return "it names \(classNames.count) classes of \(configuration.network.classes)"
        }
        return nil
    }
}

extension TrainingState {
    /// The files of a checkpoint with the tensors in them.
    fileprivate var files: [(name: String, tensors: [(name: String, tensor: Tensor)])] {
        let names = parameters.map(\.name)
        let trained = optimizer.parameters.map(\.name)
        let moments =
            zip(trained, optimizer.firstMoments).map { ("exp_avg." + $0, $1) }
            + zip(trained, optimizer.secondMoments).map { ("exp_avg_sq." + $0, $1) }
        return [
            ("model.safetensors", parameters.tensors),
            ("ema.safetensors", Array(zip(names, average.averages))),
            ("optimizer.safetensors", moments),
        ]
    }
}

extension SafetensorsFile {
    /// The tensor of a parameter, whose shape must fit; other names in the file (heads) do not matter.
    fileprivate func tensor(checked entry: NamedParameter) throws -> Tensor {
        let tensor = try self.tensor(entry.name)
        guard tensor.shape == entry.parameter.value.shape else {
            throw FileError(
                mapping.path, "\(entry.name) is \(tensor.shape) instead of \(entry.parameter.value.shape)",
                remedy: "give a checkpoint of the same network")
        }
        return tensor
    }
}

/// Puts the names in a folder on the disk.
private func synchronizeFolder(_ path: String) throws {
    let folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard folder >= 0 else { throw FileError.system(path, "open", code: errno) }
    defer { close(folder) }
    if fsync(folder) != 0 { throw FileError.system(path, "sync", code: errno) }
}
