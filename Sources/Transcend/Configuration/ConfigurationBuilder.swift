import Diffusion
import Formats
import Models

/// Builds the configuration of a stage: defaults, then the preset, then a file, then what the user says.
public struct ConfigurationBuilder: Sendable {
    /// nil: that of the file, if it names one.
    public var preset: Preset?
    /// nil: that of the file, else the paper's.
    public var reading: Reading?
    /// nil: the user gave none.
    public var file: ConfigurationFile?
    /// What the user says for every stage, and for single ones.
    public var settings: [Setting]
    /// What the user says for single stages, by their names.
    public var stageSettings: [String: [Setting]]

    /// What is nil or empty was not said.
    public init(
        preset: Preset? = nil, reading: Reading? = nil, file: ConfigurationFile? = nil, settings: [Setting] = [],
        stageSettings: [String: [Setting]] = [:]
    ) {
        self.preset = preset ?? file?.preset
        self.reading = reading ?? file?.reading
        self.file = file
        self.settings = settings
        self.stageSettings = stageSettings
    }

    /// The configuration of one stage, complete and checked. nil: the stage that the file names.
    public func configuration(stage: String?) throws -> TrainingConfiguration {
        if let stage, let named = file?.stage, named.name != stage {
            throw ConfigurationError("\(named.origin): it is \(named.name), and --stage says \(stage); leave one out")
        }
        guard let name = stage ?? file?.stage?.name else {
            throw ConfigurationError("--stage: choose from \(Methods.names)")
        }
        let method = try Self.method(name)
        if let foreign = settings.first(where: { isForeign($0, to: method) }) {
            throw ConfigurationTree.unknown(foreign, of: [method])
        }
        var configuration = try assembled(method)
        try configuration.validate()
        if configuration.method.targets?.widths == [] {
            let widths = try TrainingTargets.widths(of: configuration)
            configuration.method.targets?.widths = widths
        }
        return configuration
    }

    /// The configurations of a pipeline. A setting of a method that only one of the stages has is given to that one.
    public func pipeline(stages: [String]) throws -> [TrainingConfiguration] {
        let methods = try stages.map(Self.method)
        if let named = file?.stage ?? file?.sections.first(where: { !stages.contains($0.name) }) {
            throw ConfigurationError(
                "\(named.origin): a pipeline has the stages \(stages.joined(separator: " and ")); name each above its "
                    + "settings, or use `train`")
        }
        if let lost = settings.first(where: { setting in methods.allSatisfy { isForeign(setting, to: $0) } }) {
            throw ConfigurationTree.unknown(lost, of: methods)
        }
        let configurations = try methods.map(assembled)
        for (stage, configuration) in zip(stages, configurations) { try configuration.validate(prefix: stage + ": ") }
        return configurations
    }

    /// The configuration of one stage where nothing is said but preset, reading and the shape of the network.
    public func defaults(stage: String) throws -> TrainingConfiguration {
        let method = try Self.method(stage)
        return TrainingConfiguration(
            defaultsOf: method, for: try network(method, layers(method)), reading: reading ?? .paper)
    }

    private func assembled(_ method: any Method.Type) throws -> TrainingConfiguration {
        var layers = layers(method)
        layers.append(try Self.networkOfData(in: layers.dropFirst()))
        let network = try network(method, layers)
        let defaults = TrainingConfiguration(defaultsOf: method, for: network, reading: reading ?? .paper)
        var tree = try ConfigurationTree.tree(of: defaults)
        for setting in layers.joined() {
            tree = try ConfigurationTree.setting(setting, in: tree, of: method)
            if setting.key == "method.name", let name = setting.value.string, name != method.name {
                throw ConfigurationError("\(setting.origin): method.name: give --stage \(name) instead")
            }
        }
        return try ConfigurationTree.decode(TrainingConfiguration.self, from: tree)
    }

    /// What is said for a stage; the last word counts. The first layer is the preset.
    private func layers(_ method: any Method.Type) -> [[Setting]] {
        let shared = [preset?.settings(stage: method.name) ?? [], file?.settings ?? [], settings]
        let own = [[], file?.stageSettings[method.name] ?? [], stageSettings[method.name] ?? []]
        return zip(shared, own).map { $0.filter { !isForeign($0, to: method) } + $1 }
    }

    /// Whether a setting is one of other methods.
    private func isForeign(_ setting: Setting, to method: any Method.Type) -> Bool {
        setting.key.hasPrefix("method.") && SettingsTable.setting(setting.key, of: method) == nil
    }

    /// The network that the layers describe, by which the method chooses its defaults.
    private func network(_ method: any Method.Type, _ layers: [[Setting]]) throws -> SiTConfiguration {
        var tree = try ConfigurationTree.tree(of: TrainingConfiguration(defaultsOf: method, for: SiTConfiguration()))
        for setting in layers.joined() where setting.key.hasPrefix("network.") {
            tree = try ConfigurationTree.setting(setting, in: tree, of: method)
        }
        return try ConfigurationTree.decode(TrainingConfiguration.self, from: tree).network
    }

    /// What the data of the last layer that names any decide about the network, but for what it or a later one says. Data
    /// whose number of classes is said there are not opened.
    private static func networkOfData(in layers: ArraySlice<[Setting]>) throws -> [Setting] {
        var said: Set<String> = []
        for layer in layers.reversed() {
            said.formUnion(layer.map(\.key))
            if let source = layer.last(where: { $0.key == "data.source" }), let path = source.value.string,
                !path.isEmpty, !said.contains("network.classes")
            {
                return try TrainingData.settings(for: path).filter { !said.contains($0.key) }.map {
                    Setting($0.key, $0.value, origin: source.origin)
                }
            }
        }
        return []
    }

    private static func method(_ stage: String) throws -> any Method.Type {
        if let method = Methods.named(stage) { return method }
        let names = Methods.all.map { $0.name }
        let nearest = didYouMean(nearestName(to: stage, among: names))
        throw ConfigurationError(
            "--stage \(stage): there is no such stage\(nearest); choose from \(names.joined(separator: ", "))")
    }
}
