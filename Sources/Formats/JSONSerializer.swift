extension JSONValue {
    /// The layout of a document; the same value always gives the same bytes.
    public enum Layout: Sendable {
        /// One line without spaces.
        case compact
        /// Indented by two spaces per level; arrays of plain values stay on one line.
        case pretty
    }

    /// The document as text, without a trailing line break; numbers that are not finite, which JSON cannot represent,
    /// become null.
    public func text(_ layout: Layout = .compact) -> String {
        var text = ""
        append(to: &text, layout: layout, indent: 0)
        return text
    }

    private func append(to text: inout String, layout: Layout, indent: Int) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .int(let value): text += String(value)
        case .number(let value): text += value.isFinite ? "\(value)" : "null"
        case .string(let value): Self.append(value, to: &text)
        case .array(let elements):
            let broken = layout == .pretty && elements.contains { $0.isNested }
            Self.append(elements, between: ("[", "]"), to: &text, layout: layout, indent: indent, broken: broken) {
                $1.append(to: &$0, layout: layout, indent: indent + 1)
            }
        case .object(let members):
            Self.append(
                members, between: ("{", "}"), to: &text, layout: layout, indent: indent, broken: layout == .pretty
            ) {
                Self.append($1.key, to: &$0)
                $0 += layout == .pretty ? ": " : ":"
                $1.value.append(to: &$0, layout: layout, indent: indent + 1)
            }
        }
    }

    private var isNested: Bool {
        switch self {
        case .array, .object: true
        default: false
        }
    }

    private static func append<Item>(
        _ items: [Item], between brackets: (String, String), to text: inout String, layout: Layout, indent: Int,
        broken: Bool, _ body: (inout String, Item) -> Void
    ) {
        text += brackets.0
        for (index, item) in items.enumerated() {
            if index > 0 { text += layout == .pretty && !broken ? ", " : "," }
            if broken { text += "\n" + String(repeating: "  ", count: indent + 1) }
            body(&text, item)
        }
        if broken && !items.isEmpty { text += "\n" + String(repeating: "  ", count: indent) }
        text += brackets.1
    }

    private static func append(_ string: String, to text: inout String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
