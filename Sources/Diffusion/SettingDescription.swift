/// The meaning of a setting and its allowed values: the single source of checks and documentation.
public struct SettingDescription: Sendable {
    /// The dotted key, as in "alignment.window".
    public var key: String
    /// The meaning, in one sentence.
    public let meaning: String
    /// The unit of a number; nil if it has none.
    public let unit: String?
    /// The allowed values.
    public let allowed: AllowedValues

    /// Creates the description of a setting.
    public init(_ key: String, _ allowed: AllowedValues, unit: String? = nil, _ meaning: String) {
        (self.key, self.allowed, self.unit, self.meaning) = (key, allowed, unit, meaning)
    }

    /// The description with its key below a group of a larger tree.
    public func below(_ group: String) -> SettingDescription {
        var moved = self
        moved.key = group + "." + key
        return moved
    }
}

/// The values that a single setting may have; constraints between settings are checked where they are used.
public indirect enum AllowedValues: Sendable, Equatable, CustomStringConvertible {
    /// A truth value, true or false.
    case truth
    /// A whole number; an upper bound of `Int.max` means no limit.
    case whole(ClosedRange<Int>)
    /// A finite number.
    case number(NumberRange)
    /// 0, which switches something off, or a finite number.
    case zero(or: NumberRange)
    /// [low, high] with 0 <= low <= high <= 1.
    case interval
    /// One of several words.
    case name([String])
    /// A file or folder, or one of several words that stand for none.
    case path(or: [String])
    /// A text, described in words.
    case text(String)
    /// Any number of such values.
    case list(of: AllowedValues)
    /// Such a value, or null.
    case optional(AllowedValues)

    /// The raw values of an enumeration, as words.
    public static func name<Name: CaseIterable & RawRepresentable<String>>(of type: Name.Type) -> AllowedValues {
        .name(Name.allCases.map(\.rawValue))
    }

    /// A description for people: "1 to 1024", "linear or cosine".
    public var description: String {
        switch self {
        case .truth: "true or false"
        case .whole(let range):
            range.upperBound == .max
                ? "\(range.lowerBound) or more" : "\(range.lowerBound) to \(range.upperBound)"
        case .number(let range): range.description
        case .zero(let range): "0, or \(range)"
        case .interval: "[low, high], 0 <= low <= high <= 1"
        case .name(let names): Self.choice(of: names)
        case .path(let words): Self.choice(of: ["a path"] + words)
        case .text(let form): form
        case .list(let values): "a list of " + Self.plural(values)
        case .optional(let values): "\(values), or null"
        }
    }

    private static func plural(_ values: AllowedValues) -> String {
        switch values {
        case .path: "paths"
        case .whole(let range): "whole numbers, \(AllowedValues.whole(range))"
        default: "\(values)"
        }
    }

    /// The words as a choice: "a, b or c".
    private static func choice(of words: [String]) -> String {
        words.count < 2 ? words.joined() : words.dropLast().joined(separator: ", ") + " or " + words[words.count - 1]
    }
}

/// A range of finite numbers, whose bounds may be excluded.
public struct NumberRange: Sendable, Equatable, CustomStringConvertible {
    /// The bounds; infinite if there are none.
    public let lower, upper: Double
    /// Whether the bounds belong to the range.
    public let includesLower, includesUpper: Bool

    private init(_ lower: Double, _ upper: Double, includesLower: Bool, includesUpper: Bool) {
        (self.lower, self.upper) = (lower, upper)
        (self.includesLower, self.includesUpper) = (includesLower, includesUpper)
    }

    /// The range of all finite numbers.
    public static let any = NumberRange(-.infinity, .infinity, includesLower: false, includesUpper: false)
    /// The range above `lower`, up to and including `upper`.
    public static func above(_ lower: Double, to upper: Double = .infinity) -> NumberRange {
        NumberRange(lower, upper, includesLower: false, includesUpper: upper.isFinite)
    }
    /// Creates a range that includes both bounds.
    public init(_ range: ClosedRange<Double>) {
        self.init(range.lowerBound, range.upperBound, includesLower: true, includesUpper: true)
    }
    /// Creates a range without its upper bound.
    public init(_ range: Range<Double>) {
        self.init(range.lowerBound, range.upperBound, includesLower: true, includesUpper: false)
    }
    /// Creates a range without an upper limit.
    public init(_ range: PartialRangeFrom<Double>) {
        self.init(range.lowerBound, .infinity, includesLower: true, includesUpper: false)
    }

    /// Whether a number is in the range; NaN is in none.
    public func contains(_ value: Double) -> Bool {
        (value > lower || includesLower && value == lower) && (value < upper || includesUpper && value == upper)
    }

    /// A description for people: "0 or more and below 1", "above 0", "0 to 1", "any number".
    public var description: String {
        let (low, high) = (short(lower), short(upper))
        switch (lower.isFinite, upper.isFinite) {
        case (false, false): return "any number"
        case (true, false): return includesLower ? "\(low) or more" : "above \(low)"
        case (false, true): return includesUpper ? "\(high) or less" : "below \(high)"
        case (true, true):
            if includesLower && includesUpper { return "\(low) to \(high)" }
            return (includesLower ? "\(low) or more" : "above \(low)") + " and "
                + (includesUpper ? "up to \(high)" : "below \(high)")
        }
    }

    /// The number without ".0".
    private func short(_ value: Double) -> String {
        Int(exactly: value).map(String.init) ?? "\(value)"
    }
}
