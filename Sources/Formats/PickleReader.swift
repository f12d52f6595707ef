/// Reads one pickle into plain data. Nothing in it is imported, called or executed: classes and functions stay names,
/// and the objects that they would create stay arguments.
///
/// Each operation reads bytes of its own and makes at most one value, so memory is a small multiple of the pickle's
/// size.
struct PickleReader {
    /// The maximum number of operations of a pickle; a checkpoint of a thousand tensors with their moments has about
    /// 60,000.
    static let maximumOperations = 1 << 23

    private var bytes: PickleBytes
    private var nodes: [PickleNode] = []
    private var stack: [PickleIndex] = []
    /// The heights of the stack at its marks.
    private var marks: [Int] = []
    private var memo: [UInt32: PickleIndex] = [:]

    /// Begins at `position` of the bytes of a file called `name` in messages.
    init(_ bytes: UnsafeRawBufferPointer, from position: Int = 0, name: String) {
        self.bytes = PickleBytes(bytes, from: position, name: name)
    }

    /// The position after the last byte read.
    var position: Int { bytes.position }

    /// Reads the pickle that begins here, and leaves `position` after it. Throws a `FileError`.
    mutating func read() throws -> PickleValue {
        (nodes, stack, marks, memo) = ([], [], [], [:])
        for _ in 0..<Self.maximumOperations {
            let code = try bytes.uint8()
            guard let operation = PickleOperation(rawValue: code) else {
                throw wrong("holds the operation 0x\(String(code, radix: 16)), which is not read")
            }
            if operation == .stop {
                let result = try pop()
                return PickleValue(heap: PickleHeap(nodes), index: result)
            }
            if let node = try literal(operation) {
                push(node)
            } else if try !arrange(operation), try !collect(operation) {
                try refer(operation)
            }
        }
        throw wrong("has more than \(Self.maximumOperations) operations")
    }

    private func wrong(_ problem: String) -> FileError { bytes.wrong(problem) }

    // MARK: - Stack

    private mutating func new(_ node: PickleNode) -> PickleIndex {
        nodes.append(node)
        return PickleIndex(nodes.count - 1)
    }

    private mutating func push(_ node: PickleNode) { stack.append(new(node)) }

    private mutating func pop() throws -> PickleIndex {
        guard stack.count > (marks.last ?? 0) else { throw wrong("takes more values than there are") }
        return stack.removeLast()
    }

    private mutating func pop(_ count: Int) throws -> [PickleIndex] {
        guard stack.count - count >= (marks.last ?? 0) else { throw wrong("takes more values than there are") }
        defer { stack.removeLast(count) }
        return Array(stack.suffix(count))
    }

    private mutating func popToMark() throws -> [PickleIndex] {
        guard let mark = marks.popLast() else { throw wrong("has no mark where one is needed") }
        defer { stack.removeSubrange(mark...) }
        return Array(stack[mark...])
    }

    private func top() throws -> PickleIndex {
        guard stack.count > (marks.last ?? 0), let top = stack.last else {
            throw wrong("takes more values than there are")
        }
        return top
    }

    // MARK: - Operations

    /// The value that an operation spells out; nil for other operations.
    private mutating func literal(_ operation: PickleOperation) throws -> PickleNode? {
        switch operation {
        case .none: return PickleNode.none
        case .newTrue: return .bool(true)
        case .newFalse: return .bool(false)
        case .int:
            let text = try bytes.line()
            guard let value = Int(text) else { throw wrong("holds an integer that is none") }
            return text == "00" || text == "01" ? .bool(value == 1) : .int(value)
        case .binInt: return .int(Int(try bytes.number(Int32.self)))
        case .binInt1: return .int(Int(try bytes.uint8()))
        case .binInt2: return .int(Int(try bytes.number(UInt16.self)))
        case .long1: return try bytes.long(Int(try bytes.uint8()))
        case .long4: return try bytes.long(try bytes.length(Int32.self))
        case .binFloat: return .float(Double(bitPattern: try bytes.number(UInt64.self).byteSwapped))
        case .shortBinString, .shortBinUnicode: return .string(try bytes.text(Int(try bytes.uint8())))
        case .binString: return .string(try bytes.text(try bytes.length(Int32.self)))
        case .binUnicode: return .string(try bytes.text(try bytes.length(UInt32.self)))
        case .binUnicode8: return .string(try bytes.text(try bytes.length(UInt64.self)))
        case .shortBinBytes: return try bytes.place(Int(try bytes.uint8()))
        case .binBytes: return try bytes.place(try bytes.length(UInt32.self))
        case .binBytes8, .byteArray8: return try bytes.place(try bytes.length(UInt64.self))
        case .emptyList, .emptyTuple, .emptySet: return .sequence([])
        case .emptyDictionary: return .dictionary([])
        default: return nil
        }
    }

    /// Handles marks, the memo, and operations that only move values; returns false for others.
    private mutating func arrange(_ operation: PickleOperation) throws -> Bool {
        switch operation {
        case .proto:
            let version = try bytes.uint8()
            guard (2...5).contains(version) else { throw wrong("has protocol \(version), not 2 to 5") }
        case .frame: _ = try bytes.length(UInt64.self)
        case .mark: marks.append(stack.count)
        case .pop: _ = try pop()
        case .popMark: _ = try popToMark()
        case .duplicate: stack.append(try top())
        case .binGet: try recall(UInt32(try bytes.uint8()))
        case .longBinGet: try recall(try bytes.number(UInt32.self))
        case .binPut: memo[UInt32(try bytes.uint8())] = try top()
        case .longBinPut: memo[try bytes.number(UInt32.self)] = try top()
        case .memoize: memo[UInt32(memo.count)] = try top()
        default: return false
        }
        return true
    }

    private mutating func recall(_ key: UInt32) throws {
        guard let index = memo[key] else { throw wrong("recalls a value that it has not stored") }
        stack.append(index)
    }

    /// Handles lists, tuples, dictionaries and sets; returns false for other operations.
    private mutating func collect(_ operation: PickleOperation) throws -> Bool {
        switch operation {
        case .list, .tuple, .frozenSet: push(.sequence(try popToMark()))
        case .tuple1: push(.sequence(try pop(1)))
        case .tuple2: push(.sequence(try pop(2)))
        case .tuple3: push(.sequence(try pop(3)))
        case .dictionary: push(.dictionary(try pairs()))
        case .append: try add(elements: try pop(1))
        case .appends, .addItems: try add(elements: try popToMark())
        case .setItem: try add(pairs: try pop(2))
        case .setItems: try add(pairs: try pairs())
        default: return false
        }
        return true
    }

    private mutating func pairs() throws -> [PickleIndex] {
        let values = try popToMark()
        guard values.count.isMultiple(of: 2) else { throw wrong("has a key without its value") }
        return values
    }

    /// Changes the value on top of the stack in place: it is taken out first, so that its content is not copied.
    private mutating func change(_ body: (inout PickleNode) -> Bool) throws {
        let index = Int(try top())
        var node = PickleNode.none
        swap(&node, &nodes[index])
        let fits = body(&node)
        swap(&node, &nodes[index])
        guard fits else { throw wrong("adds to a value that holds no others") }
    }

    private mutating func add(elements: [PickleIndex]) throws {
        try change { node in
            switch node {
            case .sequence(var list):
                node = .none
                list += elements
                node = .sequence(list)
            // An object of a class that is a list: its elements are not needed.
            case .object: break
            default: return false
            }
            return true
        }
    }

    private mutating func add(pairs: [PickleIndex]) throws {
        try change { node in
            switch node {
            case .dictionary(var list):
                node = .none
                list += pairs
                node = .dictionary(list)
            case .object(var object):
                node = .none
                object.items += pairs
                node = .object(object)
            default: return false
            }
            return true
        }
    }

    /// Handles classes, objects and references outside the pickle.
    private mutating func refer(_ operation: PickleOperation) throws {
        switch operation {
        case .global:
            let (module, name) = (new(.string(try bytes.line())), new(.string(try bytes.line())))
            push(.global(module: module, name: name))
        case .stackGlobal:
            let parts = try pop(2)
            push(.global(module: parts[0], name: parts[1]))
        case .reduce, .newObject:
            let parts = try pop(2)
            push(.object(PickleObject(callable: parts[0], arguments: parts[1])))
        case .newObjectWithKeywords:
            let parts = try pop(3)
            push(.object(PickleObject(callable: parts[0], arguments: parts[1])))
        case .build:
            let state = try pop()
            // The attributes of a dictionary or list (PyTorch's OrderedDict has `_metadata`) are left out.
            if case .object(var object) = nodes[Int(try top())], object.state == nil {
                object.state = state
                nodes[Int(try top())] = .object(object)
            }
        case .binPersistentID: push(.persistent(try pop()))
        default: throw wrong("holds an operation that is not read")
        }
    }
}
