import Formats

private enum Op {
    static let empty = Operator("empty", "memory_format")
    static let full = Operator("full")
    static let zerosLike = Operator("zeros_like")
    static let arange = Operator("arange")
    static let cat = Operator("cat")
    static let stack = Operator("stack")
}

/// Creation of tensors.
extension Tensor {
    /// The result of an operation that did not run because an earlier one failed inside `withErrors`.
    static let nothing: Tensor = Failure.$scope.withValue(nil) { .full([], 0) }

    /// A tensor with uninitialised elements.
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

    /// The vector 0, 1, ..., count - 1.
    public static func range(_ count: Int, _ type: ElementType = .F32, on device: Device = .cpu) -> Tensor {
        Op.arange(count, type, none, device)
    }

    /// Concatenates tensors along an existing axis.
    public static func concatenate(_ tensors: [Tensor], axis: Int = 0) -> Tensor { Op.cat(TensorList(tensors), axis) }

    /// Stacks tensors of equal shape along a new axis.
    public static func stack(_ tensors: [Tensor], axis: Int = 0) -> Tensor { Op.stack(TensorList(tensors), axis) }
}
