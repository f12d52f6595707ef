/// A JSON document (RFC 8259) whose objects keep the order of their members and whose integers stay exact.
public enum JSONValue: Equatable, Sendable {
    /// The value null.
    case null
    /// The value true or false.
    case bool(Bool)
    /// A number written without fraction and exponent.
    case int(Int64)
    /// A number with fraction or exponent; finite when read.
    case number(Double)
    /// A string, unescaped.
    case string(String)
    /// An array of values.
    case array([JSONValue])
    /// Members in their order; names are unique when read.
    case object([Member])

    /// A name and its value in an object.
    public struct Member: Equatable, Sendable {
        /// The name, unescaped.
        public var key: String
        /// The value of the member.
        public var value: JSONValue

        /// Creates a member of an object being built; its name is not compared with others.
        public init(_ key: String, _ value: JSONValue) {
            self.key = key
            self.value = value
        }
    }

    /// The value of the first member with this name; nil if there is none or this is not an object.
    public subscript(key: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.key == key }?.value
    }

    /// The members of an object, else nil.
    public var members: [Member]? {
        if case .object(let members) = self { members } else { nil }
    }

    /// The elements of an array, else nil.
    public var elements: [JSONValue]? {
        if case .array(let elements) = self { elements } else { nil }
    }

    /// The text of a string, else nil.
    public var string: String? {
        if case .string(let text) = self { text } else { nil }
    }

    /// The value of an integer, else nil.
    public var int: Int? {
        if case .int(let value) = self { Int(value) } else { nil }
    }

    /// The value of a number of either kind (integers rounded to the nearest), else nil.
    public var double: Double? {
        switch self {
        case .int(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }

    /// The value of a boolean, else nil.
    public var bool: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByNilLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int64) { self = .int(value) }
    public init(floatLiteral value: Double) { self = .number(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(nilLiteral: ()) { self = .null }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(elements.map { Member($0.0, $0.1) })
    }
}
