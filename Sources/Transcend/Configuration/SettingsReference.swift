import Diffusion
import Formats

/// Describes every setting: its value in some stages and its default, its meaning, unit and allowed values.
public struct SettingsReference: Sendable {
    /// A value for each stage that has the setting.
    private typealias Values = [(stage: String, value: JSONValue)]
    private let stages: [String]
    private let rows: [(setting: SettingDescription, values: Values, defaults: Values)]

    /// Creates the reference for `stages` with the values from a builder.
    public init(_ builder: ConfigurationBuilder, stages: [String]) throws {
        func leaves(_ configuration: TrainingConfiguration) throws -> [String: JSONValue] {
            let tree = try ConfigurationTree.tree(of: configuration)
            return Dictionary(uniqueKeysWithValues: ConfigurationTree.flattened(tree).map { ($0.key, $0.value) })
        }
        let values = try stages.map { ($0, try leaves(builder.configuration(stage: $0))) }
        let defaults = try stages.map { ($0, try leaves(builder.defaults(stage: $0))) }
        func spread(_ key: String, _ all: [(String, [String: JSONValue])]) -> Values {
            all.compactMap { stage, leaves in leaves[key].map { (stage, $0) } }
        }
        self.stages = stages
        rows = SettingsTable.all.map { ($0, spread($0.key, values), spread($0.key, defaults)) }
            .filter { !$0.values.isEmpty }
    }

    /// The reference for a terminal: "key = value (default ...)", followed by the meaning, at most 100 columns wide.
    public var text: String {
        rows.map { row in
            let (value, standard) = (Self.text(row.values), Self.text(row.defaults))
            let head = "\(row.setting.key) = \(value) " + (value == standard ? "(default)" : "(default \(standard))")
            var words = [row.setting.meaning, "Allowed: \(row.setting.allowed)."]
            if let unit = row.setting.unit { words.insert("Unit: \(unit).", at: 1) }
            if row.values.count < stages.count {
                words.append("In \(row.values.map(\.stage).joined(separator: ", ")).")
            }
            return head + "\n" + Self.wrapped(words.joined(separator: " "), indent: 4, width: 100)
        }.joined(separator: "\n")
    }

    /// The reference for `docs/settings.md`: a table for each group.
    public var markdown: String {
        var text = """
            # Settings

            Every setting of `config.json`, of a file for `--config` and of `--set key=value`. Defaults are those of SiT-S/2
            without a preset; `transcend inspect --config FILE --preset NAME` shows what a file and a preset make of them.

            A file for `--config` is YAML, or the `config.json` of a run. What stands under the name of a stage is for that
            stage alone; relative paths are relative to the file. Flags count before the file, the file before the preset:

            ```yaml
            preset: cifar10
            reading: published  # of the method; the paper's otherwise
            data: {source: cifar10-train.zip}
            schedule:
              learningRate: 1e-3
            selfguided:
              steps: 9000
            ```

            This page is written by `transcend inspect --config --markdown`.

            """
        var group = ""
        for row in rows {
            let parts = row.setting.key.split(separator: ".")
            let current = parts.count > 1 ? String(parts[0]) : "general"
            if current != group {
                group = current
                text += "\n## \(group)\n\n| key | default | unit | allowed | |\n|---|---|---|---|---|\n"
            }
            let stages = row.values.count < stages.count ? " (\(row.values.map(\.stage).joined(separator: ", ")))" : ""
            text += "| `\(row.setting.key)` | \(Self.text(row.defaults)) | \(row.setting.unit ?? "") | "
            text += "\(row.setting.allowed) | \(row.setting.meaning)\(stages) |\n"
        }
        return text
    }

    /// A setting in words for `--help`: its meaning, its values if they are few, and its default if it is the same for
    /// all methods and networks.
    public static func help(_ key: String) -> String {
        guard let setting = SettingsTable.all.first(where: { $0.key == key }) else { return key }
        let standard = fixedDefaults[key].map { " (default: \($0))" } ?? ""
        switch setting.allowed {
        case .truth: return setting.meaning
        case .name, .text: return "\(setting.meaning.dropLast()): \(setting.allowed).\(standard)"
        default: return setting.meaning + standard
        }
    }

    private static let fixedDefaults: [String: String] = {
        let small = ConfigurationBuilder(settings: [Setting("network.depth", 6), Setting("network.hidden", 96)])
        let stages = Methods.all.map { $0.name }
        let references = [ConfigurationBuilder(), small].compactMap { try? SettingsReference($0, stages: stages) }
        var texts: [String: Set<String>] = [:]
        for row in references.flatMap(\.rows) {
            for (_, value) in row.defaults {
                texts[row.setting.key, default: []].insert(value.string ?? value.text(.pretty))
            }
        }
        return texts.compactMapValues { $0.count == 1 && $0 != ["null"] && $0 != ["[]"] ? $0.first : nil }
    }()

    /// "1600 in align, 4400 in selfguided", or one value where all are equal.
    private static func text(_ values: Values) -> String {
        let texts = values.map { $0.value.text(.pretty) }
        if Set(texts).count <= 1 { return texts.first ?? "" }
        return zip(texts, values).map { "\($0) in \($1.stage)" }.joined(separator: ", ")
    }

    private static func wrapped(_ text: String, indent: Int, width: Int) -> String {
        var lines: [String] = []
        for word in text.split(separator: " ") {
            if let last = lines.last, indent + last.count + 1 + word.count <= width {
                lines[lines.count - 1] = last + " " + word
            } else {
                lines.append(String(word))
            }
        }
        return lines.map { String(repeating: " ", count: indent) + $0 }.joined(separator: "\n")
    }
}
