/// What a setting means and which values it may have: the one place from which checks and documentation come.
public struct SettingDescription: Sendable {
    /// Dotted, as in "alignment.window".
    public var key: String
    /// One sentence.
    public let meaning: String
    /// Of a number; nil where it has none.
    public let unit: String?
    /// The values that it may have.
    public let allowed: AllowedValues

    /// A setting with its sentence.
    public init(_ key: String, _ allowed: AllowedValues, unit: String? = nil, _ meaning: String) {
        (self.key, self.allowed, self.unit, self.meaning) = (key, allowed, unit, meaning)
    }

    /// The same for the settings of a group that hangs in a larger tree.
    public func below(_ group: String) -> SettingDescription {
        var moved = self
        moved.key = group + "." + key
        return moved
    }
}

/// The values that a setting may have by itself; what settings must satisfy together is checked where they are used.
public indirect enum AllowedValues: Sendable, Equatable, CustomStringConvertible {
    /// true or false.
    case truth
    /// A whole number; `Int.max` above means that there is no limit.
    case whole(ClosedRange<Int>)
    /// A finite number.
    case number(NumberRange)
    /// 0, which switches something off, or a finite number.
    case zero(or: NumberRange)
    /// [low, high] with 0 <= low <= high <= 1.
    case interval
    /// One of some words.
    case name([String])
    /// A file or folder, or one of some words that stand for none.
    case path(or: [String])
    /// A text that is described in words.
    case text(String)
    /// Any number of those.
    case list(of: AllowedValues)
    /// Those, or null.
    case optional(AllowedValues)

    /// The words of an enumeration.
    public static func name<Name: CaseIterable & RawRepresentable<String>>(of type: Name.Type) -> AllowedValues {
        .name(Name.allCases.map(\.rawValue))
    }

    /// For people: "1 to 1024", "linear or cosine".
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

    /// "a, b or c".
    private static func choice(of words: [String]) -> String {
        words.count < 2 ? words.joined() : words.dropLast().joined(separator: ", ") + " or " + words[words.count - 1]
    }
}

/// A range of finite numbers whose bounds may be left out of it.
public struct NumberRange: Sendable, Equatable, CustomStringConvertible {
    /// The bounds; infinite where there are none.
    public let lower, upper: Double
    /// Whether the bounds belong to the range.
    public let includesLower, includesUpper: Bool

    private init(_ lower: Double, _ upper: Double, includesLower: Bool, includesUpper: Bool) {
        (self.lower, self.upper) = (lower, upper)
        (self.includesLower, self.includesUpper) = (includesLower, includesUpper)
    }

    /// Every finite number.
    public static let any = NumberRange(-.infinity, .infinity, includesLower: false, includesUpper: false)
    /// Above `lower`, up to and with `upper`.
    public static func above(_ lower: Double, to upper: Double = .infinity) -> NumberRange {
        NumberRange(lower, upper, includesLower: false, includesUpper: upper.isFinite)
    }
    /// With both bounds.
    public init(_ range: ClosedRange<Double>) {
        self.init(range.lowerBound, range.upperBound, includesLower: true, includesUpper: true)
    }
    /// Without the upper bound.
    public init(_ range: Range<Double>) {
        self.init(range.lowerBound, range.upperBound, includesLower: true, includesUpper: false)
    }
    /// Without an upper bound.
    public init(_ range: PartialRangeFrom<Double>) {
        self.init(range.lowerBound, .infinity, includesLower: true, includesUpper: false)
    }

    /// Whether a number is in the range; nan is in none.
    public func contains(_ value: Double) -> Bool {
        (value > lower || includesLower && value == lower) && (value < upper || includesUpper && value == upper)
    }

    /// "0 or more and below 1", "above 0", "0 to 1", "any number".
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

    /// Without ".0".
    private func short(_ value: Double) -> String {
        Int(exactly: value).map(String.init) ?? "\(value)"
    }
}
