import Diffusion
import Formats
import Models

/// Builds the configuration of a stage: defaults, then the preset, then what the user says.
public struct ConfigurationBuilder: Sendable {
    public var preset: Preset?
    public var reading: Reading
    /// What the user says for every stage, and for single ones.
    public var settings: [Setting]
    public var stageSettings: [String: [Setting]]

    public init(
        preset: Preset? = nil, reading: Reading = .paper, settings: [Setting] = [],
        stageSettings: [String: [Setting]] = [:]
    ) {
        self.preset = preset
        self.reading = reading
        self.settings = settings
        self.stageSettings = stageSettings
    }

    /// The configuration of one stage, complete and checked.
    public func configuration(stage: String) throws -> TrainingConfiguration {
        let configuration = try assembled(stage: stage, tolerating: [])
        try configuration.validate()
        return configuration
    }

    /// The configurations of a pipeline. A setting of a method that only one of the stages has is given to that one.
    public func pipeline(stages: [String]) throws -> [TrainingConfiguration] {
        let methodSettings = settings.filter { $0.key.hasPrefix("method.") }
        for setting in methodSettings {
            let known = try stages.contains { ConfigurationTree.has(setting.key, in: try methodTree(stage: $0)) }
            if !known { _ = try configuration(stage: stages[stages.count - 1]) }
        }
        let configurations = try stages.map { stage in
            let tree = try methodTree(stage: stage)
            let foreign = methodSettings.map(\.key).filter { !ConfigurationTree.has($0, in: tree) }
            return try assembled(stage: stage, tolerating: Set(foreign))
        }
        for (stage, configuration) in zip(stages, configurations) { try configuration.validate(prefix: stage + ": ") }
        return configurations
    }

    private func assembled(stage: String, tolerating foreign: Set<String>) throws -> TrainingConfiguration {
        let all =
            (preset?.settings(stage: stage) ?? []).filter { !isForeign($0, stage: stage) }
            + settings.filter { !foreign.contains($0.key) } + (stageSettings[stage] ?? [])
        var tree = try methodTree(stage: stage)
        for setting in all { tree = try ConfigurationTree.setting(setting, in: tree) }
        do {
            let configuration = try ConfigurationTree.decode(TrainingConfiguration.self, from: tree)
            guard configuration.method.name == stage else {
                throw ConfigurationError("method.name: give --stage \(configuration.method.name) instead")
            }
            return configuration
        } catch let error as ConfigurationError {
            // Decoding names the key; the user knows it by the flag.
            guard let said = all.last(where: { error.description.hasPrefix($0.key) && $0.origin != $0.key }) else {
                throw error
            }
            throw ConfigurationError(said.origin + error.description.dropFirst(said.key.count))
        }
    }

    /// A preset's settings of methods reach only the methods that have them.
    private func isForeign(_ setting: Setting, stage: String) -> Bool {
        guard setting.key.hasPrefix("method."), let tree = try? methodTree(stage: stage) else { return false }
        return !ConfigurationTree.has(setting.key, in: tree)
    }

    /// The defaults of everything, with those of the method for the network that preset and user describe.
    private func methodTree(stage: String) throws -> JSONValue {
        guard let type = Methods.named(stage) else {
            let names = Methods.all.map { $0.name }
            let nearest = nearestName(to: stage, among: names).map { "; did you mean \($0)?" } ?? ""
            throw ConfigurationError(
                "--stage \(stage): there is no such stage\(nearest); choose from \(names.joined(separator: ", "))")
        }
        let plain = MethodConfiguration(Plain(defaultsFor: SiTConfiguration(), reading: reading))
        var tree = try ConfigurationTree.tree(of: TrainingConfiguration(method: plain))
        let network = (preset?.settings(stage: stage) ?? []) + settings + (stageSettings[stage] ?? [])
        for setting in network where setting.key.hasPrefix("network.") {
            tree = try ConfigurationTree.setting(setting, in: tree)
        }
        var configuration = try ConfigurationTree.decode(TrainingConfiguration.self, from: tree)
        configuration.method = MethodConfiguration(type.init(defaultsFor: configuration.network, reading: reading))
        return try ConfigurationTree.tree(of: configuration)
    }
}
