import Foundation

/// The tensors of a model that is split into several files.
public struct ShardedTensors: NamedTensors {
    /// The path of the index that names the files.
    public let path: String
    /// The names in the order of the files.
    public let names: [String]
    private let files: [String: any NamedTensors]

    /// Combines the tensors of several files, each tensor being in one of them; `path` is that of their index.
    public init(_ parts: [any NamedTensors], path: String) {
        self.path = path
        names = parts.flatMap(\.names)
        files = Dictionary(parts.flatMap { part in part.names.map { ($0, part) } }) { first, _ in first }
    }

    /// Opens all files named by an index (`….index.json`: {"weight_map": {tensor: file}}), which lie beside it; throws
    /// a `FileError`.
    public init(index path: String) throws {
        guard let places = try JSONValue.read(path: path)["weight_map"]?.members else {
            throw FileError(path, "has no weight_map", remedy: "give the index of a sharded model")
        }
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        var opened: [String: any NamedTensors] = [:]
        var files: [String: any NamedTensors] = [:]
        for (name, place) in places.map({ ($0.key, $0.value.string ?? "") }) {
            guard !place.isEmpty, !place.contains("/"), place != ".." else {
                throw FileError(path, "says that \(name) is in \"\(place)\"; the name of a file beside it is expected")
            }
            let file = try opened[place] ?? openFile(folder + "/" + place)
            opened[place] = file
            guard file.layout(of: name) != nil else {
                throw FileError(file.path, "has no tensor \"\(name)\", which \(path) says is in it")
            }
            files[name] = file
        }
        self.path = path
        self.files = files
        names = places.map(\.key)
    }

    /// The type and shape of a tensor; nil if it is not in the index.
    public func layout(of name: String) -> TensorLayout? { files[name]?.layout(of: name) }

    /// The file that holds a tensor; nil if it is not in the index.
    public func mapping(of name: String) -> MappedFile? { files[name]?.mapping(of: name) }

    /// Calls `body` with the bytes of a tensor; throws a `FileError` if they cannot be read.
    public func withBytes<Result>(of name: String, _ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result {
        guard let file = files[name] else { throw FileError(path, "has no tensor \"\(name)\"") }
        return try file.withBytes(of: name, body)
    }
}

/// Opens the tensors of a file of weights, safetensors or `torch.save`, distinguished by their first bytes, or of the
/// files named by an index (`….index.json`). Throws a `FileError`.
public func openWeights(path: String) throws -> any NamedTensors {
    try path.hasSuffix(".index.json") ? ShardedTensors(index: path) : openFile(path)
}

private func openFile(_ path: String) throws -> any NamedTensors {
    try PyTorchFile.isOne(path: path) ? PyTorchTensors(PyTorchFile(path: path)) : SafetensorsFile(path: path)
}
