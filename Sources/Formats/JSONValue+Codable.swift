import Foundation

/// A mismatch between a value and a document: the dotted key, and what is needed there.
public struct JSONMismatch: Error, CustomStringConvertible, Sendable {
    /// The sentence, on one line.
    public let description: String
}

extension JSONValue {
    /// Encodes a value as a document, with members sorted by name. Throws a `JSONMismatch` if a number is not finite.
    public init(encoding value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            try self.init(parsing: String(decoding: encoder.encode(value), as: UTF8.self))
        } catch let error as EncodingError { throw JSONMismatch(description: Self.sentence(error)) }
    }

    /// Decodes a value from a document; throws a `JSONMismatch` if it does not match the type.
    public func decoded<Value: Decodable>(as type: Value.Type) throws -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(text().utf8))
        } catch let error as DecodingError { throw JSONMismatch(description: Self.sentence(error)) }
    }

    private static func key(_ path: [any CodingKey]) -> String {
        path.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(separator: ".")
    }

    private static func sentence(_ error: EncodingError) -> String {
        guard case .invalidValue(let value, let context) = error else { return "\(error)" }
        return "\(key(context.codingPath)): give a number, not \(value)"
    }

    private static func sentence(_ error: DecodingError) -> String {
        switch error {
        case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
            return "\(key(context.codingPath)): a value of type \(type) is needed"
        case .keyNotFound(let missing, let context): return "\(key(context.codingPath + [missing])): a value is needed"
        case .dataCorrupted(let context): return "\(key(context.codingPath)): \(context.debugDescription)"
        @unknown default: return "\(error)"
        }
    }
}
