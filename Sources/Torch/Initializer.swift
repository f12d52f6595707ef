/// How a parameter starts: a function from its shape and its address to values.
public struct Initializer: Sendable {
    /// Shape, draws and the item of the address -> as many values as the shape holds.
    public let values: @Sendable (_ shape: [Int], _ draws: Draws, _ item: Int) -> [Float]

    /// `values` must give as many numbers as the shape holds, the same ones for the same address.
    public init(values: @escaping @Sendable (_ shape: [Int], _ draws: Draws, _ item: Int) -> [Float]) {
        self.values = values
    }

    /// Every element alike; uses no draws.
    public static func constant(_ value: Float) -> Initializer {
        Initializer { shape, _, _ in [Float](repeating: value, count: shape.reduce(1, *)) }
    }

    /// Every element 0, as adaLN-Zero starts its gates.
    public static let zeros = constant(0)
    /// Every element 1, for the weights of normalisations.
    public static let ones = constant(1)

    /// Normal around 0.
    public static func normal(deviation: Float) -> Initializer {
        Initializer { shape, draws, item in
            draws.normals(.initialise, step: 0, item: item, count: shape.reduce(1, *)).map { $0 * deviation }
        }
    }

    /// Uniform within sqrt(6 / (in + out)) (Glorot and Bengio 2010); out is the first axis, in all others together.
    public static let xavierUniform = Initializer { shape, draws, item in
        let count = shape.reduce(1, *)
        let bound = (6 / Float(shape[0] + count / shape[0])).squareRoot()
        return draws.uniforms(.initialise, step: 0, item: item, count: count).map { (2 * $0 - 1) * bound }
    }
}
