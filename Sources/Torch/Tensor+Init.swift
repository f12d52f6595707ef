import Formats

private enum Op {
    static let empty = Operator("empty", "memory_format")
    static let full = Operator("full")
    static let zerosLike = Operator("zeros_like")
    static let arange = Operator("arange")
    static let cat = Operator("cat")
    static let stack = Operator("stack")
}

/// New tensors.
extension Tensor {
    /// What an operation returns that did not run because an earlier one failed inside `withErrors`.
    static let nothing: Tensor = Failure.$scope.withValue(nil) { .full([], 0) }

    /// A tensor whose elements are not set.
    public static func empty(_ shape: [Int], _ type: ElementType = .F32, on device: Device = .cpu) -> Tensor {
        Op.empty(shape, type, none, device)
    }

    /// A tensor of equal elements.
    public static func full(
        _ shape: [Int], _ value: Double, _ type: ElementType = .F32, on device: Device = .cpu
    ) -> Tensor {
        Op.full(shape, value, type, none, device)
    }

    /// A tensor of zeros.
    public static func zeros(_ shape: [Int], _ type: ElementType = .F32, on device: Device = .cpu) -> Tensor {
        full(shape, 0, type, on: device)
    }

    /// Zeros with the shape, type and device of `other`.
    public static func zeros(like other: Tensor) -> Tensor { Op.zerosLike(other) }

    /// 0, 1, ..., count - 1.
    public static func range(_ count: Int, _ type: ElementType = .F32, on device: Device = .cpu) -> Tensor {
        Op.arange(count, type, none, device)
    }

    /// Joins tensors along an axis that they have.
    public static func concatenate(_ tensors: [Tensor], axis: Int = 0) -> Tensor { Op.cat(TensorList(tensors), axis) }

    /// Joins tensors of equal shape along a new axis.
    public static func stack(_ tensors: [Tensor], axis: Int = 0) -> Tensor { Op.stack(TensorList(tensors), axis) }
}
