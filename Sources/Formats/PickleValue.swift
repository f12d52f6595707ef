/// A value of Python as plain data, as a pickle describes it.
///
/// Values share the parts that the pickle shares, so that a value costs nothing until it is looked into. A pickle can hold
/// itself: whoever walks through values limits depth and number.
public struct PickleValue: Sendable {
    let heap: PickleHeap
    let index: PickleIndex

    private var node: PickleNode { heap.nodes[Int(index)] }

    private func value(_ index: PickleIndex) -> PickleValue { PickleValue(heap: heap, index: index) }

    var isNone: Bool { if case .none = node { true } else { false } }

    /// nil if this is no truth value.
    public var bool: Bool? { if case .bool(let value) = node { value } else { nil } }

    /// nil if this is no integer, or none of 64 bits.
    public var int: Int? { if case .int(let value) = node { value } else { nil } }

    /// nil if this is no number.
    public var double: Double? {
        switch node {
        case .float(let value): value
        case .int(let value): Double(value)
        default: nil
        }
    }

    /// nil if this is no text.
    public var string: String? { if case .string(let value) = node { value } else { nil } }

    /// The little-endian bytes of an integer of more than 64 bits; nil for all else.
    var longInteger: [UInt8]? { if case .longInteger(let bytes) = node { bytes } else { nil } }

    /// The elements of a list, tuple or set; nil for all else.
    public var elements: [PickleValue]? {
        switch node {
        case .sequence(let indices): indices.map(value)
        default: nil
        }
    }

    /// How many elements or members there are, at most; known without collecting them.
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

    /// Keys and values of a dictionary, or of what an object holds (its attributes, or its own items); nil for all else.
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

    /// The value of the last member with that text as its key; nil if there is none.
    public subscript(key: String) -> PickleValue? { members?.last { $0.key.string == key }?.value }

    /// The name of the foreign class or function that would have made this object: "argparse.Namespace". Nothing of it
    /// is executed. nil for plain data.
    public var className: String? {
        if case .object(let object) = node { value(object.callable).globalName } else { nil }
    }

    /// What the foreign class or function would have been called with; nil for all else, and for more than 16 arguments.
    var arguments: [PickleValue]? {
        if case .object(let object) = node { value(object.arguments).elements(atMost: 16) } else { nil }
    }

    /// The elements if there are so few; nil otherwise. It does not look at the others.
    func elements(atMost limit: Int) -> [PickleValue]? {
        if case .sequence(let indices) = node, indices.count > limit { return nil }
        if case .object(let object) = node {
            return className == "torch.Size" ? value(object.arguments).firstElement?.elements(atMost: limit) : nil
        }
        return elements
    }

    /// What the pickle refers to outside of itself: for PyTorch, a storage.
    var persistentID: PickleValue? { if case .persistent(let index) = node { value(index) } else { nil } }

    /// The name of a class or function: "torch.FloatStorage"; nil for all else, and for names longer than any.
    var globalName: String? {
        guard case .global(let module, let name) = node, let module = value(module).string,
            let name = value(name).string, module.utf8.count + name.utf8.count <= 512
        else { return nil }
        return "\(module).\(name)"
    }

    /// What kind of value this is, for messages.
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

    /// Python 2 gives the items of an OrderedDict to its initialiser.
    private func arguments(ofMapping object: PickleObject) -> [(key: PickleValue, value: PickleValue)] {
        guard className == "collections.OrderedDict" else { return [] }
        return (value(object.arguments).firstElement?.elements ?? []).compactMap { pair in
            guard let parts = pair.elements(atMost: 2), parts.count == 2 else { return nil }
            return (parts[0], parts[1])
        }
    }
}

/// The position of a value among all of its pickle.
typealias PickleIndex = Int32

/// All values of one pickle.
final class PickleHeap: Sendable {
    let nodes: [PickleNode]

    init(_ nodes: [PickleNode]) { self.nodes = nodes }
}

/// One value; those in it are positions in the same heap.
enum PickleNode: Sendable {
    case none
    case bool(Bool)
    case int(Int)
    case longInteger([UInt8])
    case float(Double)
    case string(String)
    /// Their place in the pickle.
    case bytes(Range<Int>)
    case sequence([PickleIndex])
    /// Keys and values in turn.
    case dictionary([PickleIndex])
    case global(module: PickleIndex, name: PickleIndex)
    case persistent(PickleIndex)
    indirect case object(PickleObject)
}

/// What a class or function would have made.
struct PickleObject: Sendable {
    var callable: PickleIndex
    var arguments: PickleIndex
    var state: PickleIndex?
    /// Keys and values in turn, for classes that are dictionaries.
    var items: [PickleIndex] = []
}
