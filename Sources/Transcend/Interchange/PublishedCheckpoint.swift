import Formats
import Foundation

/// A checkpoint as saved by the training code of SiT, REPA and Self-Transcendence: {"model", "ema": state dicts, "opt":
/// AdamW's state dict, "args": argparse.Namespace, "steps"}; or a file of weights alone.
public struct PublishedCheckpoint: Sendable {
    /// The path of the file or folder, as given.
    public let path: String
    /// The raw weights of network and head; the EMA if the file has nothing else.
    public let model: TensorSection
    /// The EMA weights; the same as `model` if the file has one set of weights.
    public let average: TensorSection
    /// AdamW's moments, "exp_avg." and "exp_avg_sq." before the names of parameters; nil if they are missing or fit no
    /// parameters.
    public let moments: TensorSection?
    /// The number of updates made; 0 if the file does not say.
    public let step: Int
    /// The optimiser settings (lr, betas, eps, weight_decay); nil if there are none.
    let optimizerSettings: PickleValue?
    /// The training command line; nil if there is none.
    let arguments: PickleValue?
    /// What was left out, one sentence each.
    let warnings: [String]

    /// The name of the weights file in a diffusers folder.
    static let folderFile = "diffusion_pytorch_model.safetensors"

    /// Opens a `.pt`, `.pth`, `.bin` or `.safetensors` file, or a folder with `diffusion_pytorch_model.safetensors`; throws
    /// a `FileError`.
    public init(path: String) throws {
        self.path = path
        let inFolder = path + "/" + Self.folderFile
        var isFolder: ObjCBool = false
        let exists = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
        let file = FileManager.default.fileExists(atPath: inFolder) ? inFolder : path
        if exists, isFolder.boolValue, file == path {
            throw FileError(
                path, "is a folder without \(Self.folderFile)", remedy: "give a .pt, .pth, .bin or .safetensors file")
        }
        guard try PyTorchFile.isOne(path: file) else {
            let weights = try SafetensorsFile(path: file)
            model = try Self.section(weights)
            (average, moments, step, optimizerSettings, arguments, warnings) = (model, nil, 0, nil, nil, [])
            return
        }
        let document = try PyTorchFile(path: file)
        let root = document.root
        func weights(_ name: String) throws -> TensorSection? {
            guard let value = root[name], value.members != nil else { return nil }
            return try Self.section(PyTorchTensors(document, below: value))
        }
        let (saved, saidAverage) = (try weights("model"), try weights("ema"))
        model = try saved ?? saidAverage ?? weights("state_dict") ?? Self.section(PyTorchTensors(document, below: root))
        average = saidAverage ?? model
        arguments = root["args"]
        let found = try Moments(document, names: model.names)
        (moments, optimizerSettings) = (found.section, found.settings)
        warnings = found.warning.map { [$0] } ?? []
        step = ["steps", "step", "train_steps"].compactMap { root[$0]?.int }.first ?? 0
    }

    /// The tensors under the names of a network trained on one device and not compiled. REPA's first version called the
    /// later blocks `decoder_blocks`.
    private static func section(_ tensors: some NamedTensors) throws -> TensorSection {
        let plain = tensors.names.map { name in
            ["module.", "_orig_mod."].reduce(name) { $0.hasPrefix($1) ? String($0.dropFirst($1.count)) : $0 }
        }
        let encoderDepth = Set(plain.filter { $0.hasPrefix("blocks.") }.map { $0.split(separator: ".")[1] }).count
        let names = plain.map { name in
            let parts = name.split(separator: ".", omittingEmptySubsequences: false)
            guard parts.count > 2, parts[0] == "decoder_blocks", let index = Int(parts[1]) else { return name }
            return (["blocks", "\(index + encoderDepth)"] + parts[2...].map(String.init)).joined(separator: ".")
        }
        var seen = Set<String>()
        if let twice = names.first(where: { !seen.insert($0).inserted }) {
            throw FileError(
                tensors.path, "has two tensors that are both \(twice) without their prefixes",
                remedy: "keep one of the two state dicts")
        }
        return TensorSection(tensors, Array(zip(names, tensors.names)).map { (name: $0.0, source: $0.1) })
    }
}

/// AdamW's state in a file, by the names of parameters.
private struct Moments {
    private(set) var section: TensorSection?
    private(set) var settings: PickleValue?
    private(set) var warning: String?

    /// Reads the state; `names` are all parameters in PyTorch's order, by which the optimiser numbers them.
    init(_ file: PyTorchFile, names: [String]) throws {
        guard let optimizer = file.root["opt"] ?? file.root["optimizer"], let state = optimizer["state"] else { return }
        let groups = optimizer["param_groups"]?.elements ?? []
        let parameters = groups.first?["params"]?.elements?.compactMap(\.int) ?? []
        guard groups.count == 1, parameters == Array(names.indices) else {
            warning = "the optimizer's state does not count the model's \(names.count) parameters and is left out"
            return
        }
        let tensors = try PyTorchTensors(file, below: state)
        let all = ["exp_avg", "exp_avg_sq"].flatMap { slot in
            names.enumerated().map { (name: "\(slot).\($0.element)", source: "\($0.offset).\(slot)") }
        }
        let present = all.filter { tensors.layout(of: $0.source) != nil }
        guard !present.isEmpty else { return }
        section = TensorSection(tensors, present)
        settings = groups[0]
    }
}
