/// A tensor that belongs to a network, with its initialisation.
public struct Parameter: Sendable {
    /// The values; a leaf for autograd if `isTrained`.
    public let value: Tensor
    /// The initializer used by `initialise`.
    public let initializer: Initializer
    /// Whether the optimiser changes the values; fixed ones, such as position tables, are stored as well.
    public let isTrained: Bool

    /// Creates the parameter without setting its values.
    public init(_ shape: [Int], _ initializer: Initializer, isTrained: Bool = true, on device: Device) {
        value = .empty(shape, on: device)
        self.initializer = initializer
        self.isTrained = isTrained
        if isTrained { value.requireGradient() }
    }

    /// Overwrites the values.
    public func assign(_ source: Tensor) {
        var target = value
        target.assign(source)
    }
}

/// A parameter with its checkpoint name.
public struct NamedParameter: Sendable {
    /// The name from the root of the walk, joined by dots, including the requested prefix.
    public let name: String
    /// The parameter, which shares its values with the module.
    public let parameter: Parameter
}

/// A part of a network: a plain structure that lists its contents.
///
/// The walk is the only place that defines checkpoint names. Initialisation, loading, saving, counting and the
/// optimiser all use it. Its order is PyTorch's: own parameters before children.
public protocol Module: Sendable {
    /// Lists the contents of the module, parameters before children, through calls of `visit`.
    func walk(_ visit: inout Walk)
}

/// Collects the parameters of a module under their full names.
public struct Walk {
    private var prefix: String
    fileprivate private(set) var found: [NamedParameter] = []

    fileprivate init(prefix: String) {
        self.prefix = prefix
    }

    /// Visits a parameter, if there is one.
    public mutating func callAsFunction(_ name: String, _ parameter: Parameter?) {
        if let parameter { found.append(NamedParameter(name: prefix + name, parameter: parameter)) }
    }

    /// Visits a child, if there is one. An empty name adds nothing to the names below it.
    public mutating func callAsFunction(_ name: String, _ child: (any Module)?) {
        guard let child else { return }
        let outer = prefix
        prefix += name.isEmpty ? "" : name + "."
        child.walk(&self)
        prefix = outer
    }

    /// Visits numbered children: "blocks.0", "blocks.1", ...
    public mutating func callAsFunction(_ name: String, _ children: [any Module]) {
        for (index, child) in children.enumerated() { self("\(name).\(index)", child) }
    }
}

extension Module {
    /// All parameters in the order of the walk, with `prefix` before their names.
    public func parameters(prefix: String = "") -> [NamedParameter] {
        var walk = Walk(prefix: prefix)
        self.walk(&walk)
        return walk.found
    }

    /// The number of elements in all parameters, fixed ones included.
    public var parameterCount: Int { parameters().reduce(0) { $0 + $1.parameter.value.count } }

    /// Initialises every parameter. The addresses of the draws are (seed, stage, parameter name), so another stage
    /// starts differently.
    public func initialise(stage: String, seed: UInt64, prefix: String = "") {
        let draws = Draws(seed: seed)
        for entry in parameters(prefix: prefix) {
            // A parameter that could not be allocated no longer has a shape.
            if Failure.isPending { return }
            let shape = entry.parameter.value.shape
            let item = Draws.item(stage: stage, parameter: entry.name)
            entry.parameter.assign(Tensor(entry.parameter.initializer.values(shape, draws, item), shape: shape))
        }
    }
}
