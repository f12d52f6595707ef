/// The type and shape of a tensor in a file.
public struct TensorLayout: Equatable, Sendable {
    /// The element type.
    public var type: ElementType
    /// The dimensions, outermost first; empty for a scalar.
    public var shape: [Int]

    /// Creates the layout of a tensor, contiguous in C order.
    public init(_ type: ElementType, _ shape: [Int]) {
        self.type = type
        self.shape = shape
    }
}

/// Tensors by name: those of a file in any format, of several files, or some of them under other names.
public protocol NamedTensors: Sendable {
    /// The path of the file, or of the index that names the files.
    var path: String { get }
    /// The names in the order of the file.
    var names: [String] { get }
    /// Type and shape of a tensor; nil if there is none of that name.
    func layout(of name: String) -> TensorLayout?
    /// The file that holds a tensor, whose bytes stay mapped as long as this object is alive; nil if there is no tensor
    /// of that name.
    func mapping(of name: String) -> MappedFile?
    /// Calls `body` with the bytes of a tensor (C order, little-endian), valid until it returns: those of the mapped
    /// file if they are in this order there, else a copy. Throws a `FileError`.
    func withBytes<Result>(of name: String, _ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result
}

extension NamedTensors {
    /// The shape of a tensor; nil if there is none of that name.
    public func shape(_ name: String) -> [Int]? { layout(of: name)?.shape }
}

extension SafetensorsFile: NamedTensors {
    /// The file's path.
    public var path: String { mapping.path }
    /// The type and shape of a tensor; nil if the file has none of that name.
    public func layout(of name: String) -> TensorLayout? { entries[name].map { TensorLayout($0.type, $0.shape) } }
    /// The file itself; nil if it has none of that name.
    public func mapping(of name: String) -> MappedFile? { entries[name].map { _ in mapping } }
}
