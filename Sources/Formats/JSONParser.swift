/// A JSON syntax error and its position.
public struct JSONError: Error, CustomStringConvertible, Equatable, Sendable {
    /// The line, counted from 1.
    public var line: Int
    /// The column, counted from 1, in bytes.
    public var column: Int
    /// The problem, without a full stop.
    public var problem: String

    /// Creates an error; line and column count from 1, the column in bytes.
    public init(line: Int, column: Int, problem: String) {
        self.line = line
        self.column = column
        self.problem = problem
    }

    /// `line L, column C: PROBLEM`.
    public var description: String { "line \(line), column \(column): \(problem)" }
}

extension JSONValue {
    /// The maximum nesting depth of arrays and objects that is read.
    public static let maximumDepth = 128

    /// Reads exactly one JSON document in UTF-8; throws a `JSONError`.
    ///
    /// Strict: no comments, no trailing commas, no duplicate names, no integers beyond 64 bits, no unpaired surrogates.
    public init(parsing bytes: UnsafeRawBufferPointer) throws(JSONError) {
        var parser = JSONParser(bytes: bytes)
        self = try parser.document()
    }

    /// Reads one JSON document from a text, as `init(parsing:)` does from its UTF-8 bytes.
    public init(parsing text: String) throws {
        self = try Array(text.utf8).withUnsafeBytes { try JSONValue(parsing: $0) }
    }

    /// Reads the file at `path`; throws a `FileError` with line and column.
    public static func read(path: String) throws -> JSONValue {
        try MappedFile(path: path).withBytes { try read($0, name: path) }
    }

    /// Reads bytes of a file called `name`; throws a `FileError` with line and column.
    public static func read(_ bytes: UnsafeRawBufferPointer, name: String) throws -> JSONValue {
        do {
            return try JSONValue(parsing: bytes)
        } catch {
            throw FileError(name, "is not valid JSON: \(error)")
        }
    }
}

private struct JSONParser {
    let bytes: UnsafeRawBufferPointer
    var position = 0
    var depth = 0

    init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    mutating func document() throws(JSONError) -> JSONValue {
        let value = try value()
        skipSpace()
        if position < bytes.count { throw error("text after the end of the value") }
        return value
    }

    private mutating func value() throws(JSONError) -> JSONValue {
        skipSpace()
        switch peek() {
        case UInt8(ascii: "{"): return try nested { (parser) throws(JSONError) in try parser.object() }
        case UInt8(ascii: "["): return try nested { (parser) throws(JSONError) in try parser.array() }
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "-"), (UInt8(ascii: "0")...UInt8(ascii: "9"))?: return try number()
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case nil: throw error("the text ends where a value is expected")
        default: throw error("a value is expected")
        }
    }

    private mutating func nested(
        _ body: (inout JSONParser) throws(JSONError) -> JSONValue
    ) throws(JSONError) -> JSONValue {
        guard depth < JSONValue.maximumDepth else {
            throw error("values are nested more than \(JSONValue.maximumDepth) deep")
        }
        depth += 1
        defer { depth -= 1 }
        position += 1
        return try body(&self)
    }

    private mutating func array() throws(JSONError) -> JSONValue {
        var elements: [JSONValue] = []
        if take("]") { return .array(elements) }
        repeat { elements.append(try value()) } while take(",")
        guard take("]") else { throw error("\",\" or \"]\" is expected") }
        return .array(elements)
    }

    private mutating func object() throws(JSONError) -> JSONValue {
        var members: [JSONValue.Member] = []
        var names: Set<String> = []
        if take("}") { return .object(members) }
        repeat {
            skipSpace()
            guard peek() == UInt8(ascii: "\"") else { throw error("a name in quotation marks is expected") }
            let start = position
            let key = try string()
            guard names.insert(key).inserted else {
                position = start
                throw error("the name \"\(key.prefix(80))\" occurs twice")
            }
            guard take(":") else { throw error("\":\" is expected") }
            members.append(JSONValue.Member(key, try value()))
        } while take(",")
        guard take("}") else { throw error("\",\" or \"}\" is expected") }
        return .object(members)
    }

    private mutating func number() throws(JSONError) -> JSONValue {
        let start = position
        if peek() == UInt8(ascii: "-") { position += 1 }
        let whole = digits()
        guard whole > 0 else { throw error("a digit is expected") }
        if whole > 1, bytes[position - whole] == UInt8(ascii: "0") {
            position -= whole
            throw error("a number may not begin with 0")
        }
        var isInteger = true
        if peek() == UInt8(ascii: ".") {
            isInteger = false
            position += 1
            guard digits() > 0 else { throw error("a digit is expected") }
        }
        if let mark = peek(), mark | 0x20 == UInt8(ascii: "e") {
            isInteger = false
            position += 1
            if let sign = peek(), sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { position += 1 }
            guard digits() > 0 else { throw error("a digit is expected") }
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isInteger, let value = Int64(text) { return .int(value) }
        if !isInteger, let value = Double(text), value.isFinite { return .number(value) }
        position = start
        throw error(isInteger ? "the integer exceeds 64 bits" : "the number exceeds the range of double precision")
    }

    private mutating func digits() -> Int {
        let start = position
        while let byte = peek(), byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { position += 1 }
        return position - start
    }

    private mutating func word(_ text: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        for index in 0..<text.utf8CodeUnitCount {
            guard peek() == text.utf8Start[index] else { throw error("a value is expected") }
            position += 1
        }
        return value
    }

    private func peek() -> UInt8? { position < bytes.count ? bytes[position] : nil }

    /// Skips white space, then one `character` if it is next.
    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard peek() == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func skipSpace() {
        while let byte = peek(), byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    private func error(_ problem: String) -> JSONError {
        var line = 1
        var lineStart = 0
        for index in 0..<min(position, bytes.count) where bytes[index] == 0x0A {
            line += 1
            lineStart = index + 1
        }
        return JSONError(line: line, column: position - lineStart + 1, problem: problem)
    }
}

extension JSONParser {
    private mutating func string() throws(JSONError) -> String {
        position += 1
        let start = position
        var unescaped: [UInt8]?
        while true {
            guard let byte = peek() else { throw error("the text ends within a string") }
            if byte == UInt8(ascii: "\"") { break }
            if byte < 0x20 { throw error("a control character stands in a string; write it as an escape") }
            if byte == UInt8(ascii: "\\") {
                var content = unescaped ?? Array(bytes[start..<position])
                content.append(contentsOf: String(try escape()).utf8)
                unescaped = content
            } else {
                unescaped?.append(byte)
                position += 1
            }
        }
        let text =
            if let unescaped { String(validating: unescaped, as: UTF8.self) } else {
                String(validating: bytes[start..<position], as: UTF8.self)
            }
        guard let text else { throw error("the string is not UTF-8") }
        position += 1
        return text
    }

    private mutating func escape() throws(JSONError) -> Unicode.Scalar {
        position += 1
        let mark = peek()
        position += 1
        switch mark {
        case UInt8(ascii: "\""): return "\""
        case UInt8(ascii: "\\"): return "\\"
        case UInt8(ascii: "/"): return "/"
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): break
        default:
            position -= 1
            throw error("unknown escape in a string")
        }
        let first = try hexadecimal()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xDC00, peek() == UInt8(ascii: "\\") else { throw error("half of a surrogate pair") }
        position += 1
        guard peek() == UInt8(ascii: "u") else { throw error("half of a surrogate pair") }
        position += 1
        let second = try hexadecimal()
        guard (0xDC00...0xDFFF).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else { throw error("half of a surrogate pair") }
        return scalar
    }

    private mutating func hexadecimal() throws(JSONError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = peek(), let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw error("four hexadecimal digits are expected")
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }
}
