/// A tensor of a PyTorch file: a view of one of the file's storages, checked to lie within it.
public struct PyTorchTensor: Equatable, Sendable {
    /// The element type.
    public let type: ElementType
    /// The dimensions, outermost first; empty for a scalar.
    public let shape: [Int]
    /// The stride of each axis in the storage, in elements.
    public let strides: [Int]
    /// The offset of the first element in the storage, in elements.
    let offset: Int
    let storage: String

    /// The number of elements; it does not overflow, since the file is known to be long enough.
    public var count: Int { shape.reduce(1, *) }

    /// Whether the elements are contiguous in the storage, row by row.
    var isContiguous: Bool {
        var step = 1
        for (side, stride) in zip(shape, strides).reversed() where side != 1 {
            if stride != step { return count == 0 }
            step *= side
        }
        return true
    }
}

/// Interprets PyTorch's own pickles. Each function throws a plain sentence without the file's name.
enum PyTorchPickle {
    /// The maximum number of dimensions of a tensor.
    static let maximumRank = SafetensorsFile.maximumRank
    /// The maximum depth of wrappers (parameters, subclasses) around a tensor.
    private static let maximumWrappers = 8

    struct Problem: Error { let text: String }

    /// A part of the file with elements that tensors refer to.
    struct Storage {
        let key: String
        let type: ElementType
        /// The number of elements, from `offset` on.
        let count: Int
        let offset: Int
    }

    /// The tensor that a value represents; nil if it is something else.
    static func tensor(_ value: PickleValue) throws -> PyTorchTensor? {
        var (function, arguments) = (value.className, value.arguments ?? [])
        for _ in 0..<maximumWrappers {
            switch function {
            case "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3":
                return try tensor(arguments, hasType: function?.hasSuffix("v3") == true)
            case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state":
                guard let inner = arguments.first else { throw Problem(text: "is a parameter without a tensor") }
                (function, arguments) = (inner.className, inner.arguments ?? [])
            case "torch._tensor._rebuild_from_type_v2":
                guard arguments.count > 2 else { throw Problem(text: "is a tensor's subclass without a tensor") }
                (function, arguments) = (arguments[0].globalName, arguments[2].elements(atMost: 16) ?? [])
            case "torch._utils._rebuild_sparse_tensor", "torch._utils._rebuild_qtensor",
                "torch._utils._rebuild_nested_tensor", "torch._utils._rebuild_wrapper_subclass",
                "torch._utils._rebuild_meta_tensor_no_storage":
                throw Problem(text: "is a tensor of a kind that is not read (\(function ?? ""))")
            default: return nil
            }
        }
        throw Problem(text: "is wrapped more than \(maximumWrappers) times")
    }

    /// (storage, offset, size, stride, requires_grad, hooks[, type][, metadata]).
    private static func tensor(_ arguments: [PickleValue], hasType: Bool) throws -> PyTorchTensor {
        guard arguments.count >= 4, let identifier = arguments[0].persistentID, let offset = arguments[1].int,
            let sides = arguments[2].elements(atMost: maximumRank),
            let steps = arguments[3].elements(atMost: maximumRank),
            sides.count == steps.count, offset >= 0
        else { throw Problem(text: "is not described as a tensor of at most \(maximumRank) dimensions should be") }
        let (shape, strides) = (sides.compactMap(\.int), steps.compactMap(\.int))
        guard shape.count == sides.count, strides.count == steps.count else {
            throw Problem(text: "has a shape that is not a list of sizes")
        }
        let metadata = arguments.count > (hasType ? 7 : 6) ? arguments[hasType ? 7 : 6] : nil
        guard metadata?.members?.isEmpty ?? true else {
            throw Problem(text: "is conjugated or negated when it is read; save its .resolve_conj().resolve_neg()")
        }
        var storage = try Self.storage(identifier)
        if hasType {
            let name = arguments.count > 6 ? arguments[6].globalName ?? "" : ""
            guard let type = types[name] else { throw Problem(text: "has the element type \(name), which is not read") }
            storage = Storage(
                key: storage.key, type: type, count: storage.count * storage.type.byteCount / type.byteCount, offset: 0)
        }
        guard strides.allSatisfy({ $0 >= 0 }), shape.allSatisfy({ $0 >= 0 }),
            let end = end(offset, shape, strides), end <= storage.count
        else { throw Problem(text: "does not lie within its storage") }
        // Offset and strides of an empty tensor may be any numbers.
        let isEmpty = shape.contains(0)
        return PyTorchTensor(
            type: storage.type, shape: shape, strides: isEmpty ? shape.map { _ in 0 } : strides,
            offset: isEmpty ? 0 : storage.offset + offset, storage: storage.key)
    }

    /// The offset after the last element; nil if it exceeds 2^63 - 1.
    private static func end(_ offset: Int, _ shape: [Int], _ strides: [Int]) -> Int? {
        if shape.contains(0) { return 0 }
        var last = offset
        for (side, stride) in zip(shape, strides) {
            let (reach, overflow) = stride.multipliedReportingOverflow(by: side - 1)
            let (sum, overflows) = last.addingReportingOverflow(reach)
            if overflow || overflows { return nil }
            last = sum
        }
        return last < .max ? last + 1 : nil
    }

    /// ("storage", class, key, device, count[, (view's key, offset, count)]).
    static func storage(_ identifier: PickleValue) throws -> Storage {
        guard let parts = identifier.elements(atMost: 16), parts.count >= 5, parts[0].string == "storage",
            let key = parts[2].string ?? parts[2].int.map(String.init), let count = parts[4].int, count >= 0
        else { throw Problem(text: "refers to a storage in an unknown way") }
        let name = parts[1].globalName ?? ""
        guard let type = storageTypes[String(name.split(separator: ".").last ?? "")] else {
            throw Problem(text: "has its elements in a \(name), which is not read")
        }
        guard type.byteCount(shape: [count]) != nil else { throw Problem(text: "has an impossible storage") }
        guard parts.count > 5, let view = parts[5].elements(atMost: 3), view.count == 3 else {
            return Storage(key: key, type: type, count: count, offset: 0)
        }
        guard let offset = view[1].int, let length = view[2].int, offset >= 0, length >= 0, offset <= count,
            length <= count - offset
        else { throw Problem(text: "has a view of a storage that does not lie within it") }
        return Storage(key: key, type: type, count: length, offset: offset)
    }

    private static let storageTypes: [String: ElementType] = [
        "FloatStorage": .F32, "DoubleStorage": .F64, "HalfStorage": .F16, "BFloat16Storage": .BF16,
        "LongStorage": .I64, "IntStorage": .I32, "ShortStorage": .I16, "CharStorage": .I8, "ByteStorage": .U8,
        "BoolStorage": .BOOL, "ComplexFloatStorage": .C64, "UntypedStorage": .U8, "_UntypedStorage": .U8,
    ]

    /// The types without a storage class of their own.
    private static let types: [String: ElementType] = [
        "torch.uint16": .U16, "torch.uint32": .U32, "torch.uint64": .U64, "torch.float8_e5m2": .F8_E5M2,
        "torch.float8_e4m3fn": .F8_E4M3,
    ]

    /// The storage class of a type; nil for types without one.
    static func storageName(of type: ElementType) -> String? {
        type == .U8 ? "ByteStorage" : storageTypes.first { $0.value == type }?.key
    }

    /// PyTorch's name of a type without a storage class of its own.
    static func typeName(of type: ElementType) -> String {
        String((types.first { $0.value == type }?.key ?? "").dropFirst("torch.".count))
    }
}
