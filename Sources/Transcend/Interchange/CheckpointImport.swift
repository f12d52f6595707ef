import Data
import Formats
import Foundation
import Models
import Torch

/// Converts a published checkpoint into a checkpoint folder.
///
/// Every tensor keeps its bits and its type, except for those of the original SiT code (`OriginalSiT`). Tensors of the
/// head of an unknown method are kept in `other.safetensors`, so that an export writes them again.
public struct CheckpointImport {
    /// The state of the new checkpoint.
    public let state: Checkpoint.State
    /// Contradictions in the file, and what is changed or left out; one sentence each.
    public let warnings: [String]
    private let inferred: NetworkInference
    private let files: [(name: String, tensors: TensorSection)]
    /// The tensors for `other.safetensors` with the prefixes of their names there.
    private let others: [(prefix: String, tensors: TensorSection)]

    /// The name of the file of tensors that belong to no parameter, under "model.", "ema.", "exp_avg." and
    /// "exp_avg_sq.".
    static let otherFile = "other.safetensors"

    /// Reads the file's metadata; `heads` is the number of attention heads if the weights do not determine it. Throws a
    /// `FileError`, or a `ConfigurationError` about `heads`.
    public init(_ source: PublishedCheckpoint, heads: Int? = nil) throws {
        inferred = try NetworkInference(source.model, heads: heads)
        let parameters = inferred.parameters
        let names = Set(parameters.map(\.name))
        let slots = Set(parameters.trained.flatMap { ["exp_avg." + $0.name, "exp_avg_sq." + $0.name] })
        for weights in [source.model, source.average] { try inferred.check(weights) }

        var (warnings, moments) = (source.warnings, source.moments)
        if inferred.isOriginal {
            warnings.append(
                "it is of the original SiT code: time and velocity are turned around, unused outputs left out")
            if moments != nil { warnings.append("the optimizer's state cannot be turned around and is left out") }
            moments = nil
        } else if let found = moments, !slots.isSubset(of: found.names) {
            warnings.append("the optimizer's state lacks some of the parameters and is left out")
            moments = nil
        }
        let arguments = PublishedArguments(source.arguments)
        self.warnings = warnings + arguments.contradictions(to: inferred.network)
        files =
            [(TrainingState.modelFile, source.model.filtered(names.contains))]
            + [(TrainingState.averageFile, source.average.filtered(names.contains))]
            + (moments.map { [(TrainingState.momentsFile, $0.filtered(slots.contains))] } ?? [])
        others =
            [("model.", source.model.filtered { !names.contains($0) })]
            + [("ema.", source.average.filtered { !names.contains($0) })]
            + (moments.map { [("", $0.filtered { !slots.contains($0) })] } ?? [])

        var configuration = TrainingConfiguration(method: MethodConfiguration(inferred.method))
        configuration.network = inferred.network
        arguments.apply(to: &configuration, optimizer: source.optimizerSettings)
        guard (0...TrainingConfiguration.largestStep).contains(source.step) else {
            throw FileError(source.path, "says that it made \(source.step) steps")
        }
        configuration.steps = max(configuration.steps, source.step)
        state = Checkpoint.State(
            step: source.step, classNames: (0..<inferred.network.classes).map(String.init), imageCount: 0,
            latents: inferred.network.channels == 4 ? PublishedLatents.encoding(channels: 4) : nil,
            configuration: configuration)
    }

    /// Writes the folder, which must not exist yet, atomically; throws a `FileError`.
    public func write(to path: String) throws {
        guard !FileManager.default.fileExists(atPath: path) else {
            throw FileError(path, "is there already", remedy: "give another --out")
        }
        try withErrors {
            var content = try files.map { file in (file.name, try tensors(of: file.tensors)) }
            let rest = try others.flatMap { prefix, section in
                try tensors(of: section).map { (name: prefix + $0.name, tensor: $0.tensor) }
            }
            if !rest.isEmpty { content.append((Self.otherFile, rest)) }
            let newFolders = try makeFolder(URL(fileURLWithPath: path).deletingLastPathComponent().path)
            defer { removeEmptyFolders(newFolders) }
            try CheckpointSnapshot(content, state: state).write(to: path)
        }
    }

    /// The tensors of a section, which read the published file in place if possible.
    private func tensors(of section: TensorSection) throws -> [(name: String, tensor: Tensor)] {
        try section.names.map { name in
            let tensor = try section.tensor(name)
            return (name, inferred.isOriginal ? OriginalSiT.converted(name, tensor, inferred.network) : tensor)
        }
    }
}

extension NetworkInference {
    /// The parameters of network and head, without memory.
    var parameters: [NamedParameter] {
        SiT(network, on: .meta).parameters() + method.objective(for: network, teacher: nil, on: .meta).parameters()
    }

    /// Throws if a parameter is missing or has another shape.
    fileprivate func check(_ weights: TensorSection) throws {
        let problems = parameters.compactMap { entry -> String? in
            var wanted = entry.parameter.value.shape
            if isOriginal, entry.name.hasPrefix("final_layer.linear.") { wanted[0] *= 2 }
            guard let shape = weights.shape(entry.name) else { return "\(entry.name) is missing" }
            return shape == wanted ? nil : "\(entry.name) is \(shape) instead of \(wanted)"
        }
        guard let first = problems.first else { return }
        let more = problems.count > 1 ? " (and \(problems.count - 1) more)" : ""
        throw FileError(weights.path, "does not hold a whole network: \(first)\(more)")
    }
}
