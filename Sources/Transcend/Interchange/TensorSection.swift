import Formats

/// Some tensors of a file under names of our own.
public struct TensorSection: NamedTensors {
    private let source: any NamedTensors
    /// The file's names by ours.
    private let sourceNames: [String: String]
    /// Our own names, in the order that they were given in.
    public let names: [String]

    /// The tensors of those names, in this order; every source name must be in the file.
    init(_ source: any NamedTensors, _ names: [(name: String, source: String)]) {
        self.source = source
        self.names = names.map(\.name)
        sourceNames = Dictionary(names.map { ($0.name, $0.source) }) { first, _ in first }
    }

    /// The mapped file, whose path names it in messages.
    public var mapping: MappedFile { source.mapping }

    /// Type and shape of a tensor by our own name; nil if it is not in the section.
    public func layout(of name: String) -> TensorLayout? { sourceNames[name].flatMap(source.layout) }

    /// Calls `body` with the bytes of a tensor; throws a `FileError` where they cannot be read.
    public func withBytes<Result>(of name: String, _ body: (UnsafeRawBufferPointer) throws -> Result) throws -> Result {
        try source.withBytes(of: sourceNames[name] ?? name, body)
    }

    func shape(_ name: String) -> [Int]? { layout(of: name)?.shape }

    /// The tensors that a test accepts.
    func filtered(_ isIncluded: (String) -> Bool) -> TensorSection {
        TensorSection(source, names.filter(isIncluded).map { ($0, sourceNames[$0]!) })
    }
}
