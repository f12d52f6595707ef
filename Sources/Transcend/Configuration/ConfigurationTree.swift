import Formats
import Foundation

/// A configuration that cannot be used, in one sentence: which key, what is wrong, what to do.
public struct ConfigurationError: Error, CustomStringConvertible, Sendable {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }
}

/// A value for one key of a configuration; the key's parts are joined by dots, as in "schedule.learningRate".
public struct Setting: Sendable, Equatable {
    public let key: String
    public let value: JSONValue
    /// How the user said it, for messages: "--steps".
    public let origin: String

    public init(_ key: String, _ value: JSONValue, origin: String? = nil) {
        self.key = key
        self.value = value
        self.origin = origin ?? key
    }
}

/// Configurations as trees of JSON, so that presets, files and flags are all the same: values for keys.
enum ConfigurationTree {
    static func tree(of value: some Encodable) throws -> JSONValue {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try JSONValue(parsing: String(decoding: encoder.encode(value), as: UTF8.self))
    }

    static func decode<Value: Decodable>(_ type: Value.Type, from tree: JSONValue) throws -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(tree.text().utf8))
        } catch let error as DecodingError {
            throw ConfigurationError(sentence(error))
        }
    }

    /// The tree with one more setting. A key that is not there is an error that names the nearest one that is.
    static func setting(_ setting: Setting, in tree: JSONValue) throws -> JSONValue {
        try replace(setting.key.split(separator: ".").map(String.init)[...], in: tree, setting)
    }

    static func has(_ key: String, in tree: JSONValue) -> Bool { flattened(tree).contains { $0.key == key } }

    private static func replace(_ path: ArraySlice<String>, in tree: JSONValue, _ setting: Setting) throws -> JSONValue
    {
        guard let head = path.first else {
            if tree.members == nil { return setting.value }
            throw ConfigurationError("\(setting.origin): \(setting.key) holds settings; give one of them")
        }
        guard let members = tree.members, let index = members.firstIndex(where: { $0.key == head }) else {
            let names = tree.members?.map(\.key) ?? []
            let nearest = nearestName(to: head, among: names).map { "; did you mean \($0)?" } ?? ""
            throw ConfigurationError("\(setting.origin): there is no setting \(setting.key) here\(nearest)")
        }
        var changed = members
        changed[index].value = try replace(path.dropFirst(), in: members[index].value, setting)
        return .object(changed)
    }

    /// All leaves with their dotted keys, in order.
    static func flattened(_ tree: JSONValue, prefix: String = "") -> [(key: String, value: JSONValue)] {
        guard let members = tree.members else { return [(prefix, tree)] }
        return members.flatMap { flattened($0.value, prefix: prefix.isEmpty ? $0.key : prefix + "." + $0.key) }
    }

    private static func sentence(_ error: DecodingError) -> String {
        func key(_ path: [any CodingKey]) -> String {
            path.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
        }
        switch error {
        case .typeMismatch(let type, let context):
            return "\(key(context.codingPath)): a value of type \(type) is needed"
        case .valueNotFound(let type, let context):
            return "\(key(context.codingPath)): a value of type \(type) is needed"
        case .keyNotFound(let missing, let context): return "\(key(context.codingPath + [missing])): a value is needed"
        case .dataCorrupted(let context):
            // Foundation's sentence for an enumeration: "Cannot initialize Mode from invalid String value rk4".
            let words = context.debugDescription.split(separator: " ")
            let reason =
                words.first == "Cannot" ? "\(words.last ?? "") is not one of its values" : context.debugDescription
            return "\(key(context.codingPath)): \(reason)"
        @unknown default: return "\(error)"
        }
    }
}

/// The name that a misspelled one most likely means: within a third of its length in edits; nil if none is that near.
func nearestName(to word: String, among names: [String]) -> String? {
    let best = names.map { ($0, editDistance(word.lowercased(), $0.lowercased())) }.min { $0.1 < $1.1 }
    return best.flatMap { $0.1 <= max(2, word.count / 3) ? $0.0 : nil }
}

/// The least number of characters to insert, delete or replace (Levenshtein 1966).
private func editDistance(_ a: String, _ b: String) -> Int {
    let b = Array(b)
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for (j, y) in b.enumerated() {
            let next = min(row[j] + 1, row[j + 1] + 1, diagonal + (x == y ? 0 : 1))
            diagonal = row[j + 1]
            row[j + 1] = next
        }
    }
    return row[b.count]
}
