import CTorch

/// Runs `body` without recording it for the backward pass.
public func withoutGradients<Result>(_ body: () throws -> Result) rethrows -> Result {
    try recording(false, body)
}

/// Records `body` for the backward pass, even inside `withoutGradients`.
func withGradients<Result>(_ body: () throws -> Result) rethrows -> Result { try recording(true, body) }

private func recording<Result>(_ isOn: Bool, _ body: () throws -> Result) rethrows -> Result {
    let before = ct_gradients_enabled()
    ct_enable_gradients(isOn)
    defer { ct_enable_gradients(before) }
    return try body()
}

/// Gradients by libtorch's autograd.
extension Tensor {
    /// Records operations on this leaf, so that `backward` gives it a gradient.
    func requireGradient() { Failure.check(ct_require_gradient(handle.raw, true), "require gradient", of: self) }

    /// Adds the derivatives of this scalar to the gradients of all leaves from which it was computed.
    public func backward() {
        if !Failure.isPending { Failure.check(ct_backward(handle.raw), "backward", of: self) }
    }

    /// The gradient of a leaf that `backward` has reached, else nil.
    public var gradient: Tensor? {
        var result: OpaquePointer?
        Failure.check(ct_gradient(handle.raw, &result), "gradient", of: self)
        return result.map { Tensor(owning: $0) }
    }

    /// Replaces the gradient of a leaf; nil removes it.
    func setGradient(_ gradient: Tensor?) {
        Failure.check(ct_set_gradient(handle.raw, gradient?.handle.raw), "set gradient", of: self)
    }
}
