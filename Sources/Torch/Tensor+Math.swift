private enum Op {
    static let add = Operator("add", "Tensor")
    static let addScalar = Operator("add", "Scalar")
    static let sub = Operator("sub", "Tensor")
    static let mul = Operator("mul", "Tensor")
    static let mulScalar = Operator("mul", "Scalar")
    static let div = Operator("div", "Tensor")
    static let divScalar = Operator("div", "Scalar")
    static let reciprocal = Operator("reciprocal")
    static let neg = Operator("neg")
    static let square = Operator("square")
    static let sqrt = Operator("sqrt")
    static let exp = Operator("exp")
    static let logSoftmax = Operator("log_softmax", "int")
    static let log = Operator("log")
    static let sin = Operator("sin")
    static let cos = Operator("cos")
    static let abs = Operator("abs")
    static let clamp = Operator("clamp")
    static let matmul = Operator("matmul")
    static let sum = Operator("sum", "dim_IntList")
    static let mean = Operator("mean", "dim")
    static let maximum = Operator("max")
    static let norm = Operator("linalg_vector_norm")
    static let smoothL1 = Operator("smooth_l1_loss")
    static let smallest = Operator("topk")
    static let isAtMost = Operator("le", "Tensor")
    static let argmax = Operator("argmax")
    static let any = Operator("any", "dim")
    static let isFinite = Operator("isfinite")
    static let all = Operator("all")
}

/// Arithmetic, with libtorch's broadcasting.
extension Tensor {
    /// The element-wise sum.
    public static func + (a: Tensor, b: Tensor) -> Tensor { Op.add(a, b) }
    /// Adds `b` to every element.
    public static func + (a: Tensor, b: Double) -> Tensor { Op.addScalar(a, b) }
    /// Adds `a` to every element.
    public static func + (a: Double, b: Tensor) -> Tensor { Op.addScalar(b, a) }
    /// The element-wise difference.
    public static func - (a: Tensor, b: Tensor) -> Tensor { Op.sub(a, b) }
    /// Subtracts `b` from every element.
    public static func - (a: Tensor, b: Double) -> Tensor { Op.addScalar(a, -b) }
    /// Subtracts every element from `a`.
    public static func - (a: Double, b: Tensor) -> Tensor { Op.addScalar(Op.neg(b), a) }
    /// The element-wise product; see `matmul` for the matrix product.
    public static func * (a: Tensor, b: Tensor) -> Tensor { Op.mul(a, b) }
    /// Multiplies every element by `b`.
    public static func * (a: Tensor, b: Double) -> Tensor { Op.mulScalar(a, b) }
    /// Multiplies every element by `a`.
    public static func * (a: Double, b: Tensor) -> Tensor { Op.mulScalar(b, a) }
    /// The element-wise quotient; integers give floating-point numbers.
    public static func / (a: Tensor, b: Tensor) -> Tensor { Op.div(a, b) }
    /// Divides every element by `b`.
    public static func / (a: Tensor, b: Double) -> Tensor { Op.divScalar(a, b) }
    /// Divides `a` by every element.
    public static func / (a: Double, b: Tensor) -> Tensor { Op.mulScalar(Op.reciprocal(b), a) }
    /// The negation of every element.
    public static prefix func - (a: Tensor) -> Tensor { Op.neg(a) }

    /// The square of every element.
    public func square() -> Tensor { Op.square(self) }
    /// The square root of every element; NaN for elements below 0.
    public func squareRoot() -> Tensor { Op.sqrt(self) }
    /// e to the power of every element.
    public func exp() -> Tensor { Op.exp(self) }
    /// The natural logarithm of every element; minus infinity for 0.
    public func log() -> Tensor { Op.log(self) }
    /// The logarithm of the softmax over the last axis, without overflow.
    public func logSoftmax() -> Tensor { Op.logSoftmax(self, -1, none) }
    /// The sine of every element, in radians.
    public func sin() -> Tensor { Op.sin(self) }
    /// The cosine of every element, in radians.
    public func cos() -> Tensor { Op.cos(self) }
    /// The absolute value of every element; its derivative at 0 is 0.
    package func abs() -> Tensor { Op.abs(self) }

    /// Every element clamped to at least `low` and at most `high`.
    public func clamped(_ low: Double, _ high: Double) -> Tensor { Op.clamp(self, low, high) }

    /// The element-wise smooth L1 distance to a tensor of the same shape: d^2 / (2 beta) where |d| < beta, else |d| -
    /// beta / 2, for the difference d.
    public func smoothL1Distance(to other: Tensor, beta: Double) -> Tensor { Op.smoothL1(self, other, 0, beta) }

    /// The matrix product, batched over leading axes.
    public func matmul(_ other: Tensor) -> Tensor { Op.matmul(self, other) }
}

/// Reductions.
extension Tensor {
    /// The sum over some axes; over all if none is given.
    public func sum(_ axes: [Int] = [], keepAxes: Bool = false) -> Tensor { Op.sum(self, axes, keepAxes) }

    /// The mean over some axes; over all if none is given.
    public func mean(_ axes: [Int] = [], keepAxes: Bool = false) -> Tensor { Op.mean(self, axes, keepAxes) }

    /// The mean over all but the first axis: [B, ...] -> [B].
    public func meanPerSample() -> Tensor { flattened(from: 1).mean([1]) }

    /// The largest element.
    package func maximum() -> Tensor { Op.maximum(self) }

    /// The `count` smallest elements along the last axis, ascending: [..., N] -> [..., count].
    public func smallest(_ count: Int) -> Tensor {
        Op.smallest.list(self, count, -1, false, true, capacity: 2).first ?? .nothing
    }

    /// The index of the largest element along the last axis, int64: [..., N] -> [...].
    public func largestIndices() -> Tensor { Op.argmax(self, -1, false) }

    /// Whether any element along the last axis is at most that of `other`, which is broadcast: [..., N] -> [...], 1 or
    /// 0.
    public func hasAny(atMost other: Tensor) -> Tensor { Op.any(Op.isAtMost(self, other), -1).to(.F64) }

    /// The Euclidean norm of all elements, as a scalar.
    public func norm() -> Tensor { Op.norm(self) }

    /// Whether all elements are finite; waits for the device.
    public var isFinite: Bool { Op.all(Op.isFinite(self)).item() != 0 }
}
