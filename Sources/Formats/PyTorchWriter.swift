/// A value that can be written to a PyTorch file.
public indirect enum PyTorchValue: Sendable {
    /// Python's None.
    case none
    /// A boolean.
    case bool(Bool)
    /// An integer.
    case int(Int)
    /// A floating-point number.
    case double(Double)
    /// A text.
    case string(String)
    /// A list.
    case list([PyTorchValue])
    /// A tuple.
    case tuple([PyTorchValue])
    /// A dictionary with members in this order; keys must be hashable in Python, and are not compared.
    case dictionary([(key: PyTorchValue, value: PyTorchValue)])
    /// The tensor with this index among those written with the value.
    case tensor(Int)

    /// A dictionary with text keys, in this order.
    public static func named(_ members: [(String, PyTorchValue)]) -> PyTorchValue {
        .dictionary(members.map { (.string($0.0), $0.1) })
    }
}

extension PyTorchFile {
    /// The alignment of tensors in the archive, as in PyTorch.
    private static let alignment = 64

    /// Writes a file as `torch.save` does, atomically; `torch.load(weights_only=True)` reads it.
    ///
    /// `bytes` is called once for each of `tensors` in order with its index, and passes the tensor's bytes (C order,
    /// little-endian) to the given closure, in one or several pieces. Each tensor has a storage of its own. The same
    /// content gives the same bytes. Throws a `FileError`, or any error of `bytes`.
    public static func write(
        _ value: PyTorchValue, tensors: [TensorLayout], to path: String,
        bytes: (_ index: Int, _ append: (UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws {
        var pickle = PickleWriter(tensors)
        pickle.write(value)
        let archive = try ZipWriter(path: path)
        try archive.begin("archive/data.pkl", head: pickle.finished())
        try archive.begin("archive/byteorder", head: Array("little".utf8))
        for (index, tensor) in tensors.enumerated() {
            try archive.begin("archive/data/\(index)", alignment: alignment)
            var count = 0
            try bytes(index) {
                count += $0.count
                try archive.append($0)
            }
            precondition(count == tensor.type.byteCount(shape: tensor.shape), "tensor \(index): wrong byte count")
        }
        try archive.begin("archive/version", head: Array("3\n".utf8))
        try archive.finish()
    }
}

/// Writes pickles of protocol 2.
private struct PickleWriter {
    private let tensors: [TensorLayout]
    private var bytes: [UInt8] = [PickleOperation.proto.rawValue, 2]

    init(_ tensors: [TensorLayout]) { self.tensors = tensors }

    func finished() -> [UInt8] { bytes + [PickleOperation.stop.rawValue] }

    mutating func write(_ value: PyTorchValue) {
        switch value {
        case .none: add(.none)
        case .bool(let value): add(value ? .newTrue : .newFalse)
        case .int(let value): write(value)
        case .double(let value):
            add(.binFloat)
            add(value.bitPattern.byteSwapped)
        case .string(let text):
            add(.binUnicode)
            add(UInt32(text.utf8.count))
            bytes += text.utf8
        case .list(let values):
            add(.emptyList, .mark)
            for value in values { write(value) }
            add(.appends)
        case .tuple(let values):
            add(.mark)
            for value in values { write(value) }
            add(.tuple)
        case .dictionary(let members):
            add(.emptyDictionary, .mark)
            for (key, value) in members {
                write(key)
                write(value)
            }
            add(.setItems)
        case .tensor(let index): write(tensor: index)
        }
    }

    private mutating func write(_ value: Int) {
        if let short = Int32(exactly: value) {
            add(.binInt)
            add(short)
        } else {
            add(.long1)
            add(UInt8(8))
            add(Int64(value))
        }
    }

    /// Writes _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks), or v3 with the type for types
    /// without a storage class of their own.
    private mutating func write(tensor index: Int) {
        let tensor = tensors[index]
        let storage = PyTorchPickle.storageName(of: tensor.type)
        let count = tensor.type.byteCount(shape: tensor.shape) ?? 0
        write(global: "torch._utils", storage == nil ? "_rebuild_tensor_v3" : "_rebuild_tensor_v2")
        add(.mark)
        add(.mark)
        write(.string("storage"))
        write(global: storage == nil ? "torch.storage" : "torch", storage ?? "UntypedStorage")
        write(.string(String(index)))
        write(.string("cpu"))
        write(storage == nil ? count : count / tensor.type.byteCount)
        add(.tuple, .binPersistentID)
        write(0)
        var strides: [Int] = []
        for side in tensor.shape.reversed() { strides.append((strides.last ?? 1) * max(1, side)) }
        write(.tuple(tensor.shape.map { .int($0) }))
        write(.tuple(([1] + strides).prefix(tensor.shape.count).reversed().map { .int($0) }))
        write(.bool(false))
        write(global: "collections", "OrderedDict")
        add(.emptyTuple, .reduce)
        if storage == nil { write(global: "torch", PyTorchPickle.typeName(of: tensor.type)) }
        add(.tuple, .reduce)
    }

    private mutating func write(global module: String, _ name: String) {
        add(.global)
        bytes += "\(module)\n\(name)\n".utf8
    }

    private mutating func add(_ operations: PickleOperation...) { bytes += operations.map(\.rawValue) }

    private mutating func add(_ number: some FixedWidthInteger) {
        withUnsafeBytes(of: number.littleEndian) { bytes += $0 }
    }
}
