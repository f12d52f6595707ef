import Diffusion
import Formats

/// A configuration error, in one sentence: the key, the problem and the remedy.
public struct ConfigurationError: Error, CustomStringConvertible, Sendable {
    /// The sentence, on one line.
    public let description: String

    /// Creates an error from a sentence that begins with the wrong key or flag and ends with the remedy.
    public init(_ description: String) {
        self.description = description
    }
}

/// A value for one key of a configuration; the components of the key are joined by dots, as in "schedule.learningRate".
public struct Setting: Sendable, Equatable {
    /// The key, as listed in docs/settings.md.
    public let key: String
    /// The value, of the type that the key has in `config.json`.
    public let value: JSONValue
    /// How the user gave it, for messages: "--steps".
    public let origin: String

    /// Creates a value for a key; without an origin, messages name the key.
    public init(_ key: String, _ value: JSONValue, origin: String? = nil) {
        self.key = key
        self.value = value
        self.origin = origin ?? key
    }
}

/// Configurations as JSON trees, so that presets, files and flags are all alike: values for keys.
enum ConfigurationTree {
    static func tree(of value: some Encodable) throws -> JSONValue {
        try naming { try JSONValue(encoding: value) }
    }

    static func decode<Value: Decodable>(_ type: Value.Type, from tree: JSONValue) throws -> Value {
        try naming { try tree.decoded(as: type) }
    }

    /// A mismatch in a configuration is reported as an error for the user to fix.
    private static func naming<Result>(_ body: () throws -> Result) throws -> Result {
        do { return try body() } catch let error as JSONMismatch { throw ConfigurationError(error.description) }
    }

    /// The tree with one more setting of a stage. Throws if there is no such key, suggesting the nearest one, and if
    /// the value is not allowed.
    static func setting(_ setting: Setting, in tree: JSONValue, of method: any Method.Type) throws -> JSONValue {
        guard let description = SettingsTable.setting(setting.key, of: method) else {
            throw unknown(setting, of: [method])
        }
        let value = try description.checked(setting.value, origin: setting.origin)
        return replacing(setting.key, by: value, in: tree)
    }

    /// The error for a key that none of the methods has.
    static func unknown(_ setting: Setting, of methods: [any Method.Type]) -> ConfigurationError {
        let keys = methods.flatMap(SettingsTable.settings).map(\.key)
        let name = setting.origin.hasSuffix(setting.key) ? "such setting" : "setting \(setting.key)"
        if keys.contains(where: { $0.hasPrefix(setting.key + ".") }) {
            return ConfigurationError("\(setting.origin): this holds settings; give one of them")
        }
        let others = Methods.all.filter { SettingsTable.setting(setting.key, of: $0) != nil }.map { $0.name }
        if !others.isEmpty {
            let stages = methods.map { $0.name }.joined(separator: " or ")
            return ConfigurationError(
                "\(setting.origin): there is no \(name) in \(stages), but in " + others.joined(separator: ", "))
        }
        let nearest = didYouMean(nearestKey(to: setting.key, among: keys))
        return ConfigurationError("\(setting.origin): there is no \(name)\(nearest)")
    }

    /// The tree with another value at an existing key.
    static func replacing(_ key: String, by value: JSONValue, in tree: JSONValue) -> JSONValue {
        replacing(key.split(separator: ".")[...], by: value, in: tree)
    }

    private static func replacing(_ path: ArraySlice<Substring>, by value: JSONValue, in tree: JSONValue) -> JSONValue {
        guard let head = path.first else { return value }
        return .object(
            (tree.members ?? []).map { member in
                guard member.key == head else { return member }
                return .init(member.key, replacing(path.dropFirst(), by: value, in: member.value))
            })
    }

    /// All leaves with their dotted keys, in order.
    static func flattened(_ tree: JSONValue, prefix: String = "") -> [(key: String, value: JSONValue)] {
        guard let members = tree.members else { return [(prefix, tree)] }
        return members.flatMap { flattened($0.value, prefix: prefix.isEmpty ? $0.key : prefix + "." + $0.key) }
    }
}
