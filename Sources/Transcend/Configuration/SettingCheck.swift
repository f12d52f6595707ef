import Diffusion
import Formats

extension SettingDescription {
    /// The value of a setting as stored in the configuration. Throws an error that begins with `origin` if it is not
    /// allowed.
    func checked(_ value: JSONValue, origin: String) throws -> JSONValue {
        let value = allowed.isWhole ? value.withoutFraction : value
        if allowed.contains(value) { return value }
        throw ConfigurationError("\(origin): give \(allowed.need), not \(shown(value))")
    }
}

extension JSONValue {
    /// A number like 1e5 or 3.0 as an integer.
    fileprivate var withoutFraction: JSONValue {
        if case .number(let number) = self, let whole = Int64(exactly: number) { return .int(whole) }
        return self
    }
}

extension AllowedValues {
    fileprivate func contains(_ value: JSONValue) -> Bool {
        switch self {
        case .truth: value.bool != nil
        case .whole(let range): value.int.map(range.contains) ?? false
        case .number(let range): value.double.map(range.contains) ?? false
        case .zero(let range): value.double.map { $0 == 0 || range.contains($0) } ?? false
        case .interval:
            value.elements.map { bounds in
                let numbers = bounds.compactMap(\.double).filter { 0 <= $0 && $0 <= 1 }
                return bounds.count == 2 && numbers.count == 2 && numbers[0] <= numbers[1]
            } ?? false
        case .name(let names): value.string.map(names.contains) ?? false
        case .path, .text: value.string != nil
        case .list(let values): value.elements?.allSatisfy(values.contains) ?? false
        case .optional(let values): value == .null || values.contains(value)
        }
    }

    fileprivate var isWhole: Bool {
        switch self {
        case .whole: true
        case .optional(let values): values.isWhole
        default: false
        }
    }

    /// The expected value, for a sentence.
    fileprivate var need: String {
        switch self {
        case .whole: "a whole number, \(self)"
        case .number(let range): range == .any ? "a number" : "a number, \(range)"
        case .zero: "a number, \(self)"
        case .interval: "two numbers \(self)"
        case .optional(let values): values.need + ", or null"
        case .truth, .name, .path, .text, .list: description
        }
    }
}

/// A value shortened for an error message; numbers that JSON does not have are given by name.
private func shown(_ value: JSONValue) -> String {
    switch value {
    case .number(let number): return "\(number)"
    case .array(let elements): return "[" + elements.prefix(4).map(shown).joined(separator: ", ") + "]"
    default:
        let text = value.text()
        return text.count > 60 ? text.prefix(60) + "…" : text
    }
}
