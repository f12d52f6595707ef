/// A Python value as plain data, as described by a pickle.
///
/// Values share the parts that the pickle shares, so a value costs nothing until it is inspected. A pickle can contain
/// itself: code that walks through values must limit depth and number.
public struct PickleValue: Sendable {
    let heap: PickleHeap
    let index: PickleIndex

    private var node: PickleNode { heap.nodes[Int(index)] }

    private func value(_ index: PickleIndex) -> PickleValue { PickleValue(heap: heap, index: index) }

    var isNone: Bool { if case .none = node { true } else { false } }

    /// The value of a boolean; nil for other values.
    public var bool: Bool? { if case .bool(let value) = node { value } else { nil } }

    /// The value of an integer of at most 64 bits; nil for other values.
    public var int: Int? { if case .int(let value) = node { value } else { nil } }

    /// The value of a number; nil for other values.
    public var double: Double? {
        switch node {
        case .float(let value): value
        case .int(let value): Double(value)
        default: nil
        }
    }

    /// The text of a string; nil for other values.
    public var string: String? { if case .string(let value) = node { value } else { nil } }

    /// The little-endian bytes of an integer of more than 64 bits; nil for other values.
    var longInteger: [UInt8]? { if case .longInteger(let bytes) = node { bytes } else { nil } }

    /// The elements of a list, tuple or set; nil for other values.
    public var elements: [PickleValue]? {
        switch node {
        case .sequence(let indices): indices.map(value)
        default: nil
        }
    }

    /// An upper bound of the number of elements or members, known without collecting them.
    var count: Int {
        switch node {
        case .object(let object):
            return object.items.count / 2 + (object.state.map(value)?.plainCount ?? 0)
                + (value(object.arguments).firstElement?.plainCount ?? 0)
        default: return plainCount
        }
    }

    private var plainCount: Int {
        switch node {
        case .sequence(let indices): indices.count
        case .dictionary(let indices): indices.count / 2
        default: 0
        }
    }

    private var firstElement: PickleValue? {
        if case .sequence(let indices) = node { indices.first.map(value) } else { nil }
    }

    /// The keys and values of a dictionary or of an object (its attributes or its own items); nil for other values.
    ///
    /// `argparse.Namespace(model="SiT-B/2")` has the member "model".
    public var members: [(key: PickleValue, value: PickleValue)]? {
        switch node {
        case .dictionary(let indices): pairs(indices)
        case .object(let object):
            pairs(object.items) + (arguments(ofMapping: object)) + (object.state.map(value)?.plainMembers ?? [])
        default: nil
        }
    }

    /// The value of the last member with this text as its key; nil if there is none.
    public subscript(key: String) -> PickleValue? { members?.last { $0.key.string == key }?.value }

    /// The name of the foreign class or function that would have made this object, such as "argparse.Namespace"; nil
    /// for plain data. It is never executed.
    public var className: String? {
        if case .object(let object) = node { value(object.callable).globalName } else { nil }
    }

    /// The arguments of the foreign class or function; nil for other values, and for more than 16 arguments.
    var arguments: [PickleValue]? {
        if case .object(let object) = node { value(object.arguments).elements(atMost: 16) } else { nil }
    }

    /// The elements if there are at most `limit`; otherwise nil, without looking at them.
    func elements(atMost limit: Int) -> [PickleValue]? {
        if case .sequence(let indices) = node, indices.count > limit { return nil }
        if case .object(let object) = node {
            return className == "torch.Size" ? value(object.arguments).firstElement?.elements(atMost: limit) : nil
        }
        return elements
    }

    /// The object outside the pickle that it refers to; for PyTorch, a storage.
    var persistentID: PickleValue? { if case .persistent(let index) = node { value(index) } else { nil } }

    /// The name of a class or function, such as "torch.FloatStorage"; nil for other values and for excessively long
    /// names.
    var globalName: String? {
        guard case .global(let module, let name) = node, let module = value(module).string,
            let name = value(name).string, module.utf8.count + name.utf8.count <= 512
        else { return nil }
        return "\(module).\(name)"
    }

    /// The kind of value, for messages.
    public var kind: String {
        switch node {
        case .none: "None"
        case .bool: "a truth value"
        case .int, .longInteger: "an integer"
        case .float: "a number"
        case .string: "a text"
        case .bytes: "bytes"
        case .sequence: "a list"
        case .dictionary: "a dictionary"
        case .global: "the class \(globalName ?? "")"
        case .persistent: "a storage"
        case .object: "an object of \(className ?? "")"
        }
    }

    private func pairs(_ indices: [PickleIndex]) -> [(key: PickleValue, value: PickleValue)] {
        stride(from: 0, to: indices.count, by: 2).map { (value(indices[$0]), value(indices[$0 + 1])) }
    }

    private var plainMembers: [(key: PickleValue, value: PickleValue)]? {
        if case .dictionary(let indices) = node { pairs(indices) } else { nil }
    }

    /// Python 2 passes the items of an OrderedDict to its initialiser.
    private func arguments(ofMapping object: PickleObject) -> [(key: PickleValue, value: PickleValue)] {
        guard className == "collections.OrderedDict" else { return [] }
        return (value(object.arguments).firstElement?.elements ?? []).compactMap { pair in
            guard let parts = pair.elements(atMost: 2), parts.count == 2 else { return nil }
            return (parts[0], parts[1])
        }
    }
}

/// The index of a value among all values of its pickle.
typealias PickleIndex = Int32

/// All values of one pickle.
final class PickleHeap: Sendable {
    let nodes: [PickleNode]

    init(_ nodes: [PickleNode]) { self.nodes = nodes }
}

/// One value; values in it are indices into the same heap.
enum PickleNode: Sendable {
    case none
    case bool(Bool)
    case int(Int)
    case longInteger([UInt8])
    case float(Double)
    case string(String)
    /// The range of the bytes in the pickle.
    case bytes(Range<Int>)
    case sequence([PickleIndex])
    /// Alternating keys and values.
    case dictionary([PickleIndex])
    case global(module: PickleIndex, name: PickleIndex)
    case persistent(PickleIndex)
    indirect case object(PickleObject)
}

/// The object that a class or function would have made.
struct PickleObject: Sendable {
    var callable: PickleIndex
    var arguments: PickleIndex
    var state: PickleIndex?
    /// Alternating keys and values, for classes that are dictionaries.
    var items: [PickleIndex] = []
}
