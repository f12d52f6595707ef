/// Type and shape of a tensor in a file.
public struct TensorLayout: Equatable, Sendable {
    /// Of each element.
    public var type: ElementType
    /// The sides, outermost first; empty for a scalar.
    public var shape: [Int]

    /// A tensor of this type and shape, contiguous in C order.
    public init(_ type: ElementType, _ shape: [Int]) {
        self.type = type
        self.shape = shape
    }
}

/// Tensors of a file by their names, whatever the file's format.
public protocol NamedTensors: Sendable {
    /// The file's bytes, which stay mapped as long as this object is alive.
    var mapping: MappedFile { get }
    /// The names in the order of the file.
    var names: [String] { get }
    /// Type and shape of a tensor; nil if there is none of that name.
    func layout(of name: String) -> TensorLayout?
    /// Calls `body` with the bytes of a tensor (C order, little-endian), valid until it returns: those of `mapping`
    /// where they lie there in this order, else a copy. Throws a `FileError`.
    func withBytes<Result>(of name: String, _ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result
}

extension NamedTensors {
    /// The file's path.
    public var path: String { mapping.path }
}

extension SafetensorsFile: NamedTensors {
    /// What the header says of a tensor; nil if the file has none of that name.
    public func layout(of name: String) -> TensorLayout? { entries[name].map { TensorLayout($0.type, $0.shape) } }
}
