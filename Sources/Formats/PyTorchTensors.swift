/// The tensors of a PyTorch file, or of a part such as one of its state dicts, by name.
public struct PyTorchTensors: NamedTensors {
    /// The file with the bytes.
    public let file: PyTorchFile
    /// The names in the order of the file.
    public let names: [String]
    private let tensors: [String: PyTorchTensor]

    /// The maximum nesting of dictionaries and lists, and the maximum number of values visited: a pickle can contain
    /// itself.
    static let maximumDepth = 32
    static let maximumValues = 1 << 20
    /// The maximum number of tensors, and the maximum length of a name in bytes.
    static let maximumTensors = 1 << 17
    static let maximumNameBytes = 1024

    /// Collects the tensors in `value` (all of the file if nil), including those in nested dictionaries, lists and
    /// objects.
    ///
    /// The keys on the way to a tensor are joined by dots: a state dict keeps its names, and {"ema": state dict} gives
    /// "ema.x_embedder.proj.weight". Other values are ignored. Throws a `FileError` for a tensor that cannot be read
    /// and for duplicate names.
    public init(_ file: PyTorchFile, below value: PickleValue? = nil) throws {
        self.file = file
        var walk = TensorWalk(file: file)
        try walk.visit(value ?? file.root, name: "", depth: 0)
        (names, tensors) = (walk.names, walk.tensors)
    }

    /// The file's path.
    public var path: String { file.mapping.path }

    /// The file itself; nil if it has no tensor of that name.
    public func mapping(of name: String) -> MappedFile? { tensors[name].map { _ in file.mapping } }

    /// Type and shape of a tensor; nil if there is none of that name.
    public func layout(of name: String) -> TensorLayout? { tensors[name].map { TensorLayout($0.type, $0.shape) } }

    /// Calls `body` with the bytes of a tensor as if it were contiguous; throws a `FileError` if they cannot be read.
    public func withBytes<Result>(of name: String, _ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result {
        guard let tensor = tensors[name] else { throw FileError(path, "has no tensor \"\(name)\"") }
        return try file.withBytes(of: tensor, body)
    }
}

private struct TensorWalk {
    let file: PyTorchFile
    var names: [String] = []
    var tensors: [String: PyTorchTensor] = [:]
    private var values = 0

    init(file: PyTorchFile) { self.file = file }

    private func wrong(_ problem: String) -> FileError {
        FileError(file.mapping.path, problem, remedy: "save only its state_dict()")
    }

    mutating func visit(_ value: PickleValue, name: String, depth: Int) throws {
        if let tensor = try file.tensor(value, name: name) {
            guard names.count < PyTorchTensors.maximumTensors else {
                throw wrong("has more than \(PyTorchTensors.maximumTensors) tensors")
            }
            guard tensors.updateValue(tensor, forKey: name) == nil else { throw wrong("has two tensors \"\(name)\"") }
            names.append(name)
            return
        }
        // Counted before they are collected, so that repeatedly shared values do not accumulate.
        values += value.count
        guard values <= PyTorchTensors.maximumValues, depth <= PyTorchTensors.maximumDepth else {
            throw wrong("holds values that are too many or nested too deeply")
        }
        if let members = value.members {
            for (key, part) in members {
                if let key = key.string ?? key.int.map(String.init) { try visit(part, key, below: name, depth) }
            }
        } else if let elements = value.elements {
            for (index, part) in elements.enumerated() { try visit(part, String(index), below: name, depth) }
        }
    }

    private mutating func visit(_ part: PickleValue, _ key: String, below name: String, _ depth: Int) throws {
        guard name.utf8.count + key.utf8.count < PyTorchTensors.maximumNameBytes else {
            throw wrong("has a name of more than \(PyTorchTensors.maximumNameBytes) bytes")
        }
        try visit(part, name: name.isEmpty ? key : name + "." + key, depth: depth + 1)
    }
}
