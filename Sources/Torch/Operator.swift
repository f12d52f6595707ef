import CTorch
import Formats

/// An operator of libtorch, looked up once by its schema's name and called like a function.
///
/// Arguments are in the schema's order; omitted trailing ones take its defaults.
struct Operator: @unchecked Sendable {
    let name: String
    private let raw: OpaquePointer

    init(_ name: String, _ overload: String = "") {
        var found: OpaquePointer?
        guard ct_find_operator("aten::" + name, overload, &found) == 0, let found else {
            preconditionFailure("libtorch has no operator \(name).\(overload): \(Failure.lastMessage)")
        }
        self.name = name
        raw = found
    }

    /// Calls an operator with one result.
    func callAsFunction(_ arguments: any OperatorArgument...) -> Tensor {
        var result: OpaquePointer?
        guard call(arguments, into: &result, capacity: 1) == 1, let result else { return .nothing }
        return Tensor(owning: result)
    }

    /// Calls an operator for its effect on its arguments.
    func run(_ arguments: any OperatorArgument...) {
        var results = [OpaquePointer?](repeating: nil, count: 4)
        let produced = results.withUnsafeMutableBufferPointer { call(arguments, into: $0.baseAddress!, capacity: 4) }
        for index in 0..<produced { ct_release(results[index]) }
    }

    /// Calls an operator with several results or a list of them, at most `capacity`.
    func list(_ arguments: any OperatorArgument..., capacity: Int) -> [Tensor] {
        var results = [OpaquePointer?](repeating: nil, count: capacity)
        let produced = results.withUnsafeMutableBufferPointer {
            call(arguments, into: $0.baseAddress!, capacity: capacity)
        }
        return results.prefix(produced).map { Tensor(owning: $0!) }
    }

    /// Returns the number of results written; 0 after a failure.
    private func call(
        _ arguments: [any OperatorArgument], into results: UnsafeMutablePointer<OpaquePointer?>, capacity: Int
    ) -> Int {
        if Failure.isPending { return 0 }
        var encoder = ArgumentEncoder(capacity: arguments.count)
        defer { encoder.free() }
        for argument in arguments { argument.encode(into: &encoder) }
        var produced: Int32 = 0
        let status = ct_call(raw, encoder.values, Int32(encoder.values.count), results, Int32(capacity), &produced)
        if status != 0 {
            Failure.report(name, arguments.flatMap(\.operandShapes), Failure.lastMessage)
            return 0
        }
        return Int(produced)
    }
}

/// Arguments in the form of the C border, with the memory that their lists need until the call is over.
struct ArgumentEncoder {
    fileprivate(set) var values: [ct_value] = []
    private var lists: [UnsafeMutableRawPointer] = []

    init(capacity: Int) {
        values.reserveCapacity(capacity)
    }

    mutating func add(_ kind: ct_kind, count: Int = 0, _ fill: (inout ct_value) -> Void = { _ in }) {
        var value = ct_value()
        value.kind = Int32(kind.rawValue)
        value.count = Int32(count)
        fill(&value)
        values.append(value)
    }

    /// A copy of `elements` that lives until `free` is called.
    mutating func keep<Element>(_ elements: [Element]) -> UnsafeMutablePointer<Element> {
        let memory = UnsafeMutablePointer<Element>.allocate(capacity: max(1, elements.count))
        memory.initialize(from: elements, count: elements.count)
        lists.append(UnsafeMutableRawPointer(memory))
        return memory
    }

    func free() {
        for list in lists { list.deallocate() }
    }
}

/// A value that can be passed to an operator.
protocol OperatorArgument {
    func encode(into encoder: inout ArgumentEncoder)
    /// The shapes of the tensors in it, for messages.
    var operandShapes: [[Int]] { get }
}

extension OperatorArgument {
    var operandShapes: [[Int]] { [] }
}

extension Tensor: OperatorArgument {
    func encode(into encoder: inout ArgumentEncoder) {
        encoder.add(CT_TENSOR) { $0.value.tensor = handle.raw }
    }

    var operandShapes: [[Int]] { [shape] }
}

extension Int: OperatorArgument {
    func encode(into encoder: inout ArgumentEncoder) {
        encoder.add(CT_INTEGER) { $0.value.integer = Int64(self) }
    }
}

extension Double: OperatorArgument {
    func encode(into encoder: inout ArgumentEncoder) {
        encoder.add(CT_NUMBER) { $0.value.number = self }
    }
}

extension Bool: OperatorArgument {
    func encode(into encoder: inout ArgumentEncoder) {
        encoder.add(CT_BOOLEAN) { $0.value.integer = self ? 1 : 0 }
    }
}

extension String: OperatorArgument {
    func encode(into encoder: inout ArgumentEncoder) {
        let text = encoder.keep(Array(utf8CString))
        encoder.add(CT_TEXT) { $0.value.text = UnsafePointer(text) }
    }
}

extension ElementType: OperatorArgument {
    func encode(into encoder: inout ArgumentEncoder) { Int(torchCode).encode(into: &encoder) }
}

extension Device: OperatorArgument {
    func encode(into encoder: inout ArgumentEncoder) {
        encoder.add(CT_DEVICE, count: kind == .cuda ? index : -1) { $0.value.integer = Int64(kind.rawValue) }
    }
}

extension [Int]: OperatorArgument {
    func encode(into encoder: inout ArgumentEncoder) {
        let list = encoder.keep(map { Int64($0) })
        encoder.add(CT_INTEGERS, count: count) { $0.value.integers = UnsafePointer(list) }
    }
}

/// A list of tensors as one argument.
struct TensorList: OperatorArgument {
    let tensors: [Tensor]

    init(_ tensors: [Tensor]) {
        self.tensors = tensors
    }

    func encode(into encoder: inout ArgumentEncoder) {
        let list = encoder.keep(tensors.map { Optional($0.handle.raw) })
        encoder.add(CT_TENSORS, count: tensors.count) { $0.value.tensors = UnsafePointer(list) }
    }

    var operandShapes: [[Int]] { tensors.prefix(4).map(\.shape) }
}

extension Optional: OperatorArgument where Wrapped: OperatorArgument {
    func encode(into encoder: inout ArgumentEncoder) {
        if let self { self.encode(into: &encoder) } else { encoder.add(CT_NONE) }
    }

    var operandShapes: [[Int]] { self?.operandShapes ?? [] }
}

/// An argument without a value.
let none = Tensor?.none
