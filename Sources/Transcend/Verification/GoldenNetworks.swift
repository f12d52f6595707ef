import Diffusion
import Formats
import Foundation
import Models
import Torch

/// The networks, methods and batches that golden files describe.
extension GoldenFile {
    /// The network's configuration, in the reference's spelling.
    func networkConfiguration() throws -> SiTConfiguration {
        func number(_ key: String) throws -> Int {
            guard let value = configuration[key]?.int else {
                throw FileError(file.mapping.path, "has no \"\(key)\" in its config")
            }
            return value
        }
        var c = SiTConfiguration()
        c.inputSize = try number("input_size")
        c.patchSize = try number("patch_size")
        c.channels = try number("channels")
        c.hidden = try number("hidden")
        c.depth = try number("depth")
        c.heads = try number("heads")
        c.classes = try number("classes")
        c.qkNorm = configuration["qk_norm"]?.bool ?? false
        c.mlpRatio = configuration["mlp_ratio"]?.double ?? 4
        if let problem = c.problem { throw FileError(file.mapping.path, problem) }
        return c
    }

    /// The network with the weights under `prefix`, or with generated ones if the file holds none.
    func network(_ prefix: String) throws -> SiT {
        let network = SiT(try networkConfiguration(), on: device)
        if names(below: prefix).isEmpty {
            network.initialise(stage: "", seed: 0)
            GoldenFormula.fill(network)
        } else {
            try file.load(network.parameters().tensors, prefix: prefix)
        }
        return network
    }

    func path() throws -> ProbabilityPath { try setting("path") { $0.string.flatMap(ProbabilityPath.init) } }

    /// The method that the settings describe; the head's width follows from its weights.
    func method() throws -> any Method {
        let network = try networkConfiguration()
        if settings["method"] != nil { return try neighbour(of: network) }
        let stage = try setting("stage", \.string)
        if stage == Plain.name { return Plain(defaultsFor: network, reading: .paper) }
        let window = try setting("window") { value -> TimeWindow? in
            if value == .null { return .everywhere }
            guard let bounds = value.elements?.compactMap(\.double), bounds.count == 2 else { return nil }
            return TimeWindow(bounds[0], bounds[1])
        }
        var alignment = AlignmentSettings(
            studentDepth: try setting("student_depth", \.int),
            semantics: try setting("semantics") { $0.string.flatMap(TimeWindow.Semantics.init) }, for: network)
        alignment.window = window
        alignment.weight = try setting("weight", \.double)
        alignment.stopStep = settings["stop_step"]?.int
        alignment.headWidth = file.entries[try headPrefix() + "0.weight"]?.shape.first ?? 0
        switch stage {
        case AlignLatent.name:
            var method = AlignLatent(defaultsFor: network, reading: .paper)
            method.alignment = alignment
            method.target = try setting("target") { $0.string.flatMap(AlignLatent.Target.init) }
            return method
        case SelfGuided.name:
            var method = SelfGuided(defaultsFor: network, reading: .paper)
            method.alignment = alignment
            method.teacherDepth = try setting("teacher_depth", \.int)
            method.guidanceScale = try setting("guidance_scale", \.double)
            return method
        default:
            throw FileError(file.mapping.path, "has the unknown stage \"\(stage)\"")
        }
    }

    /// A method of the REPA family, active at all times, as the settings describe it.
    private func neighbour(of network: SiTConfiguration) throws -> any Method {
        func align(_ alignment: inout AlignmentSettings) throws {
            alignment.studentDepth = try setting("depth", \.int)
            alignment.weight = try setting("weight", \.double)
        }
        switch try setting("method", \.string) {
        case LayerSync.name:
            var method = LayerSync(defaultsFor: network, reading: .paper)
            try align(&method.alignment)
            method.deepDepth = try setting("deep", \.int)
            return method
        case SRA.name:
            var method = SRA(defaultsFor: network, reading: .paper)
            try align(&method.alignment)
            method.teacherDepth = try setting("teacher_depth", \.int)
            method.largestShift = try setting("t_max", \.double)
            method.measure = try setting("measure") { $0.string.flatMap(SRA.Measure.init) }
            return method
        case REPA.name:
            var method = REPA(defaultsFor: network, reading: .paper)
            try align(&method.alignment)
            method.alignment.headWidth = file.entries["projector.0.0.weight"]?.shape.first ?? 0
            method.targets.widths = targetNames.compactMap { file.entries[$0]?.shape.last }
            return method
        case let other:
            throw FileError(file.mapping.path, "has the unknown method \"\(other)\"")
        }
    }

    /// The names of encoder features, in order.
    private var targetNames: [String] { file.names.filter { $0.hasPrefix("input.target.") }.sorted() }

    /// The prefix of the projector's layers.
    private func headPrefix() throws -> String {
        try setting("stage", \.string) == AlignLatent.name ? "projector.projectors." : "projector."
    }

    /// The training state with network, head and teacher, all with the file's weights.
    func trainingState(_ optimizer: OptimizerConfiguration = OptimizerConfiguration()) throws -> TrainingState {
        let network = try network("model.")
        let method = try method()
        let teacher = method.follows != .none ? try self.network("teacher.") : nil
        let objective = method.objective(for: network.configuration, teacher: teacher, on: device)
        let head = try objective.parameters().tensors.map { (try headName($0.name), $0.tensor) }
        try file.load(head, prefix: "projector.")
        return try TrainingState(network: network, objective: objective, path: path(), configuration: optimizer)
    }

    /// The golden name of a parameter of a training state: `model.` or `projector.` and the reference's own name.
    func goldenName(_ parameter: NamedParameter, in state: TrainingState) throws -> String {
        let isHead = parameter.name.hasPrefix("projectors") || parameter.name.hasPrefix("ap_head")
        return isHead ? "projector." + (try headName(parameter.name)) : "model." + parameter.name
    }

    /// The head's name in a checkpoint: the reference calls the layers of a bare head by their own names; in
    /// checkpoints they are below "projectors" or "ap_head".
    private func headName(_ name: String) throws -> String {
        if settings["method"] != nil { return String(name.drop { $0 != "." }.dropFirst()) }
        let isBare = try setting("stage", \.string) == SelfGuided.name
        return isBare ? String(name.dropFirst("projectors.".count)) : name
    }

    /// The batch, or batch `index` of a stack.
    func batch(_ index: Int? = nil) throws -> Batch {
        func input(_ name: String) throws -> Tensor {
            let all = try tensor("input." + name)
            return index.map { all[$0] } ?? all
        }
        return Batch(
            clean: try input("x0"), noise: try input("noise"), times: try input("t").values(),
            labels: try input("y"), seenLabels: try input("y_seen"),
            uniforms: names(below: "input.draw").isEmpty ? nil : try input("draw").values(),
            targets: try targetNames.map { try tensor($0) })
    }
}
