import Formats
import Foundation
import Yams

/// The settings in a YAML file, with their positions. JSON is a subset of YAML.
///
/// Plain words follow the core schema of YAML 1.2: `yes`, `on` and `1:30` are texts.
struct YAMLDocument {
    /// A value that is not a mapping, under the keys of the mappings around it, joined by dots.
    struct Leaf {
        let key: String
        let value: JSONValue
        /// The line of the key, counted from 1.
        let line: Int
        let column: Int
    }

    /// The maximum size of a file; larger ones are not configurations.
    static let maximumBytes = 1_000_000
    /// The maximum number of references to anchors. More could expand a small file beyond memory: 32 make at most 3^11
    /// values of one.
    static let maximumAliases = 32

    let path: String
    private(set) var leaves: [Leaf] = []
    private var keys: Set<String> = []

    /// Reads a file; throws a `FileError` if it cannot be read and a `ConfigurationError` with line and column if it is
    /// not YAML.
    init(path: String) throws {
        self.path = path
        let text = try Self.text(of: path)
        if Self.aliases(in: text) > Self.maximumAliases {
            throw ConfigurationError("\(path): it has more than \(Self.maximumAliases) aliases (*name); write them out")
        }
        do {
            guard let root = try Yams.compose(yaml: text) else { return }
            try collect(root, key: "", at: root.mark)
        } catch let error as YamlError {
            throw ConfigurationError("\(path):\(Self.sentence(error))")
        }
    }

    /// The folder of the file, to which its relative paths refer.
    var folder: URL { URL(fileURLWithPath: path).deletingLastPathComponent() }

    /// The position of a value in messages: "FILE:LINE:COLUMN: KEY".
    func origin(_ leaf: Leaf) -> String { "\(path):\(leaf.line):\(leaf.column): \(leaf.key)" }

    /// An error at a position in the file.
    func error(_ line: Int, _ column: Int, _ problem: String) -> ConfigurationError {
        ConfigurationError("\(path):\(line):\(column): \(problem)")
    }

    private static func text(of path: String) throws -> String {
        let file = try MappedFile(path: path)
        guard file.count <= maximumBytes else {
            throw FileError(
                path, "has \(readableBytes(file.count)), a configuration at most \(readableBytes(maximumBytes))")
        }
        guard let text = file.withBytes({ String(validating: $0, as: UTF8.self) }) else {
            throw FileError(path, "is not text in UTF-8", remedy: "give a YAML or JSON file")
        }
        return text
    }

    /// An upper bound of the number of references to anchors.
    private static func aliases(in text: String) -> Int {
        let bytes = Array(text.utf8)
        let ends = Set("* \t\r\n".utf8)
        return zip(bytes, bytes.dropFirst()).count { $0 == UInt8(ascii: "*") && !ends.contains($1) }
    }

    private mutating func collect(_ node: Node, key: String, at mark: Mark?) throws {
        let (line, column) = (mark?.line ?? 1, mark?.column ?? 1)
        guard let mapping = node.mapping else {
            if key.isEmpty { throw error(line, column, "settings are needed here, each as key: value") }
            guard keys.insert(key).inserted else { throw error(line, column, "the key \(key) occurs twice") }
            leaves.append(Leaf(key: key, value: Self.value(node), line: line, column: column))
            return
        }
        for (name, value) in mapping {
            guard let word = name.scalar?.string, !word.isEmpty else {
                let place = name.mark ?? mark
                throw error(place?.line ?? 1, place?.column ?? 1, "a key must be a word")
            }
            let longer = key.isEmpty ? word : key + "." + word
            if longer.count > 100 {
                throw error(name.mark?.line ?? 1, name.mark?.column ?? 1, "no setting has a key as long as this one")
            }
            try collect(value, key: longer, at: name.mark)
        }
    }

    private static func value(_ node: Node) -> JSONValue {
        switch node {
        case .scalar(let scalar): return scalar.style == .plain ? plain(scalar.string) : .string(scalar.string)
        case .sequence(let sequence): return .array(sequence.map(value))
        case .mapping(let mapping): return .object(mapping.map { .init($0.scalar?.string ?? "?", value($1)) })
        case .alias: return .null
        }
    }

    private static func plain(_ word: String) -> JSONValue {
        switch word {
        case "", "~", "null": return .null
        case "true": return .bool(true)
        case "false": return .bool(false)
        default: break
        }
        if let whole = Int64(word) { return .int(whole) }
        let isNumber = word.utf8.allSatisfy { "+-.0123456789eE".utf8.contains($0) }
        if isNumber, let number = Double(word), number.isFinite { return .number(number) }
        return .string(word)
    }

    /// The parser's error as "LINE:COLUMN: PROBLEM".
    private static func sentence(_ error: YamlError) -> String {
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            let reason = [context?.text, problem].compactMap { $0 }.joined(separator: ", ")
            return "\(mark): this is not YAML: \(reason)"
        case .reader(let problem, let offset, _, let text):
            let before = text.prefix(offset ?? 0)
            let column = before.reversed().prefix { !$0.isNewline }.count + 1
            return "\(before.count { $0.isNewline } + 1):\(column): this is not YAML: \(problem)"
        case .duplicatedKeysInMapping(let keys, let context):
            return "\(context.mark): the key \(keys.first ?? "") occurs twice"
        default: return " this is not YAML: \(error)"
        }
    }
}
