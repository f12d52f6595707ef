/// The initialisation of a parameter: a function from its shape and address to values.
public struct Initializer: Sendable {
    /// Maps a shape, draws and the item of the address to as many values as the shape holds.
    public let values: @Sendable (_ shape: [Int], _ draws: Draws, _ item: Int) -> [Float]

    /// Creates an initializer; `values` must return as many numbers as the shape holds, and the same ones for the same
    /// address.
    public init(values: @escaping @Sendable (_ shape: [Int], _ draws: Draws, _ item: Int) -> [Float]) {
        self.values = values
    }

    /// Sets all elements to a constant; uses no draws.
    public static func constant(_ value: Float) -> Initializer {
        Initializer { shape, _, _ in [Float](repeating: value, count: shape.reduce(1, *)) }
    }

    /// Sets all elements to 0, as in the gates of adaLN-Zero.
    public static let zeros = constant(0)
    /// Sets all elements to 1, as in the weights of normalisations.
    public static let ones = constant(1)

    /// Draws from a normal distribution with mean 0.
    public static func normal(deviation: Float) -> Initializer {
        Initializer { shape, draws, item in
            draws.normals(.initialise, step: 0, item: item, count: shape.reduce(1, *)).map { $0 * deviation }
        }
    }

    /// Draws uniformly within sqrt(6 / (in + out)) (Glorot and Bengio 2010); out is the first axis, in the product of
    /// all others.
    public static let xavierUniform = Initializer { shape, draws, item in
        let count = shape.reduce(1, *)
        let bound = (6 / Float(shape[0] + count / shape[0])).squareRoot()
        return draws.uniforms(.initialise, step: 0, item: item, count: count).map { (2 * $0 - 1) * bound }
    }
}
