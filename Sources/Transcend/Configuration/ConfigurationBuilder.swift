import Diffusion
import Formats
import Models

/// Builds the configuration of a stage from defaults, the preset, a file and the user's settings, in this order.
public struct ConfigurationBuilder: Sendable {
    /// The preset; nil for the file's, if it names one.
    public var preset: Preset?
    /// The reading; nil for the file's, or else the paper's.
    public var reading: Reading?
    /// The file; nil if none was given.
    public var file: ConfigurationFile?
    /// The user's settings for all stages.
    public var settings: [Setting]
    /// The user's settings for single stages, by stage name.
    public var stageSettings: [String: [Setting]]

    /// Creates a builder; nil or empty arguments count as not given.
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

    /// The configuration of one stage, complete and checked. A nil `stage` means the stage that the file names.
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

    /// The configurations of a pipeline. A method setting that only one of the stages has is given to that stage.
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

    /// The default configuration of one stage, given only preset, reading and the shape of the network.
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

    /// The layers of settings for a stage; the last one wins. The first layer is the preset.
    private func layers(_ method: any Method.Type) -> [[Setting]] {
        let shared = [preset?.settings(stage: method.name) ?? [], file?.settings ?? [], settings]
        let own = [[], file?.stageSettings[method.name] ?? [], stageSettings[method.name] ?? []]
        return zip(shared, own).map { $0.filter { !isForeign($0, to: method) } + $1 }
    }

    /// Whether a setting belongs only to other methods.
    private func isForeign(_ setting: Setting, to method: any Method.Type) -> Bool {
        setting.key.hasPrefix("method.") && SettingsTable.setting(setting.key, of: method) == nil
    }

    /// The network described by the layers, from which the method derives its defaults.
    private func network(_ method: any Method.Type, _ layers: [[Setting]]) throws -> SiTConfiguration {
        var tree = try ConfigurationTree.tree(of: TrainingConfiguration(defaultsOf: method, for: SiTConfiguration()))
        for setting in layers.joined() where setting.key.hasPrefix("network.") {
            tree = try ConfigurationTree.setting(setting, in: tree, of: method)
        }
        return try ConfigurationTree.decode(TrainingConfiguration.self, from: tree).network
    }

    /// The network settings determined by the data of the last layer that names any, except those given explicitly
    /// there or later. Data whose number of classes is given there are not opened.
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
