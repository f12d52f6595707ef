/// A selection of another source's tensors, under new names and in new shapes.
public struct TensorSection: NamedTensors {
    private struct Origin {
        let name: String
        let layout: TensorLayout
    }

    private let source: any NamedTensors
    private let origins: [String: Origin]
    /// The new names, in the order in which they were given.
    public let names: [String]

    /// Selects tensors in this order; every source name must be in the source.
    public init(_ source: any NamedTensors, _ names: [(name: String, source: String)]) {
        self.init(source, names.map { ($0.name, Origin(name: $0.source, layout: source.layout(of: $0.source)!)) })
    }

    private init(_ source: any NamedTensors, _ entries: [(name: String, origin: Origin)]) {
        self.source = source
        names = entries.map(\.name)
        origins = Dictionary(entries.map { ($0.name, $0.origin) }) { first, _ in first }
    }

    /// The path of the source.
    public var path: String { source.path }

    /// The type and shape of a tensor by its new name; nil if it is not in the section.
    public func layout(of name: String) -> TensorLayout? { origins[name]?.layout }

    /// The file that holds a tensor; nil if it is not in the section.
    public func mapping(of name: String) -> MappedFile? { origins[name].flatMap { source.mapping(of: $0.name) } }

    /// Calls `body` with the bytes of a tensor; throws a `FileError` if they cannot be read.
    public func withBytes<Result>(of name: String, _ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result {
        try source.withBytes(of: origins[name]?.name ?? name, body)
    }

    /// The tensors whose names satisfy a predicate.
    public func filtered(_ isIncluded: (String) -> Bool) -> TensorSection {
        TensorSection(source, names.filter(isIncluded).map { ($0, origins[$0]!) })
    }
}

extension NamedTensors {
    /// The tensors under other names and in other shapes with as many elements; those for which `change` returns nil
    /// are left out.
    public func mapped(_ change: (_ name: String, _ shape: [Int]) -> (name: String, shape: [Int])?) -> TensorSection {
        TensorSection(mapping: self, change)
    }

    /// The tensors whose names begin with `prefix`, with the prefix removed.
    public func below(_ prefix: String) -> TensorSection {
        mapped { name, shape in name.hasPrefix(prefix) ? (String(name.dropFirst(prefix.count)), shape) : nil }
    }
}

extension TensorSection {
    fileprivate init(
        mapping source: any NamedTensors, _ change: (_ name: String, _ shape: [Int]) -> (name: String, shape: [Int])?
    ) {
        self.init(
            source,
            source.names.compactMap { name in
                guard let layout = source.layout(of: name), let new = change(name, layout.shape) else { return nil }
                precondition(layout.type.byteCount(shape: new.shape) == layout.type.byteCount(shape: layout.shape))
                return (new.name, Origin(name: name, layout: TensorLayout(layout.type, new.shape)))
            })
    }
}
