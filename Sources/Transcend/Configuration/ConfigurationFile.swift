import Diffusion
import Formats
import Foundation

/// Settings from a YAML or JSON file, for all stages or, under the name of a stage, for that one alone.
///
///     preset: cifar10
///     schedule: {learningRate: 1e-3}
///     selfguided:
///       steps: 9000
///
/// The `config.json` of a run is such a file too. `preset` and `reading` apply unless the command line names them.
/// Relative paths are relative to the file's folder, as in a run's `config.json`.
public struct ConfigurationFile: Sendable {
    /// A stage named in the file, with its position.
    public struct Stage: Sendable {
        /// The name of its method.
        public let name: String
        let origin: String
    }

    /// The preset; nil if the file names none.
    public private(set) var preset: Preset?
    /// The reading; nil if the file names none.
    public private(set) var reading: Reading?
    /// The stage named by `method.name`, if the file configures one stage.
    public private(set) var stage: Stage?
    /// The stages with settings of their own.
    private(set) var sections: [Stage] = []
    private(set) var settings: [Setting] = []
    private(set) var stageSettings: [String: [Setting]] = [:]

    /// Reads a file; throws if it cannot be read, is not YAML, or holds a key or value that none of its stages knows.
    public init(path: String) throws {
        if path.isEmpty { throw ConfigurationError("--config: the path is empty; give a file") }
        let document = try YAMLDocument(path: path)
        try self.init(document.leaves, of: document)
    }

    /// Reads some settings of a file that has others too; `group`, which ends with a dot, precedes their keys.
    init(_ leaves: [YAMLDocument.Leaf], of document: YAMLDocument, below group: String = "") throws {
        let folder = document.folder
        for leaf in leaves {
            let (key, origin) = (String(leaf.key.dropFirst(group.count)), document.origin(leaf))
            let parts = key.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            if let method = Methods.named(parts[0]) {
                if parts.count > 1 {
                    try add(Setting(parts[1], leaf.value, origin: origin), to: method, in: folder)
                } else if leaf.value != .null {
                    throw ConfigurationError("\(origin): this holds the settings of a stage; give one of them")
                }
            } else if try !addStart(key, leaf.value, origin) {
                try add(Setting(key, leaf.value, origin: origin), in: folder)
            }
        }
        try refuseOthers()
    }

    /// Handles the keys that are not settings but select the starting point.
    private mutating func addStart(_ key: String, _ value: JSONValue, _ origin: String) throws -> Bool {
        switch key {
        case "preset":
            let name = value.string ?? value.text()
            preset = try Preset.named(name, origin: "\(origin) \(name)")
        case "reading":
            guard let known = value.string.flatMap(Reading.init) else {
                throw ConfigurationError("\(origin): give paper or published, not \(value.text())")
            }
            reading = known
        default: return false
        }
        return true
    }

    private mutating func add(_ setting: Setting, to method: any Method.Type, in folder: URL) throws {
        guard let checked = try Self.checked(setting, by: [method], in: folder) else { return }
        if !sections.contains(where: { $0.name == method.name }) {
            sections.append(Stage(name: method.name, origin: setting.origin))
        }
        stageSettings[method.name, default: []].append(checked)
    }

    private mutating func add(_ setting: Setting, in folder: URL) throws {
        guard let checked = try Self.checked(setting, by: Methods.all, in: folder) else { return }
        if checked.key == "method.name" { stage = Stage(name: checked.value.string ?? "", origin: checked.origin) }
        settings.append(checked)
    }

    /// The setting with its value as stored in configurations; nil for a group without settings.
    private static func checked(
        _ setting: Setting, by methods: [any Method.Type], in folder: URL
    ) throws -> Setting? {
        let candidates = methods.compactMap { SettingsTable.setting(setting.key, of: $0) }
        guard let last = candidates.last else {
            let group = setting.key + "."
            let isGroup = methods.contains { SettingsTable.settings(of: $0).contains { $0.key.hasPrefix(group) } }
            if isGroup, setting.value == .null { return nil }
            throw ConfigurationTree.unknown(setting, of: methods)
        }
        let fitting = candidates.first { (try? $0.checked(setting.value, origin: "")) != nil } ?? last
        var value = try fitting.checked(setting.value, origin: setting.origin)
        if let words = fitting.allowed.wordsBesidePaths { value = absolute(value, but: words, in: folder) }
        return Setting(setting.key, value, origin: setting.origin)
    }

    /// Makes a path, or each path of a list, absolute.
    private static func absolute(_ value: JSONValue, but words: [String], in folder: URL) -> JSONValue {
        if let elements = value.elements { return .array(elements.map { absolute($0, but: words, in: folder) }) }
        guard let path = value.string, !path.isEmpty, !words.contains(path) else { return value }
        return .string(path.relative(to: folder))
    }

    /// Checks that a file for one stage holds no keys that only other stages know.
    private func refuseOthers() throws {
        guard let stage, let method = Methods.named(stage.name) else { return }
        if let other = sections.first {
            throw ConfigurationError("\(other.origin): this file is of \(stage.name) alone")
        }
        for setting in settings where SettingsTable.setting(setting.key, of: method) == nil {
            throw ConfigurationTree.unknown(setting, of: [method])
        }
    }
}

extension String {
    /// This path made absolute; relative paths are relative to a folder.
    func relative(to folder: URL) -> String { URL(fileURLWithPath: self, relativeTo: folder).standardizedFileURL.path }
}

extension AllowedValues {
    /// For a path, the words that stand for none; nil for other values.
    fileprivate var wordsBesidePaths: [String]? {
        switch self {
        case .path(let words): words
        case .optional(let values), .list(let values): values.wordsBesidePaths
        default: nil
        }
    }
}
