import Formats

/// A diffusers `config.json`, whose values are checked as they are read; null counts as missing.
struct DiffusersConfiguration {
    let path: String
    private let document: JSONValue

    init(path: String) throws {
        self.path = path
        document = try JSONValue.read(path: path)
    }

    /// The value with this name; nil if there is none. Throws if it is not of the given kind.
    func value<Value>(_ key: String, _ kind: String, _ read: (JSONValue) -> Value?) throws -> Value? {
        guard let value = document[key], value != .null else { return nil }
        guard let result = read(value) else { throw wrong(key, value, kind) }
        return result
    }

    /// Throws if a text, or one of a list of texts, is not the only supported one.
    func expect(_ key: String, _ known: String) throws {
        guard let value = document[key] else { return }
        let texts = value.elements ?? [value]
        if texts.contains(where: { $0.string != known }) { throw wrong(key, value, "\"\(known)\"") }
    }

    private func wrong(_ key: String, _ value: JSONValue, _ expected: String) -> FileError {
        FileError(path, "has \(key) \(value.text()), which is not known", remedy: "\(expected) is expected")
    }
}

extension JSONValue {
    /// The elements of a list if all are of the same kind; otherwise nil.
    func all<Value>(_ read: (JSONValue) -> Value?) -> [Value]? {
        guard let elements else { return nil }
        let values = elements.compactMap(read)
        return values.count == elements.count ? values : nil
    }
}
