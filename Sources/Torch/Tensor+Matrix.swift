private enum Op {
    static let eigen = Operator("linalg_eigh")
    static let eigenvalues = Operator("linalg_eigvalsh")
}

/// Of symmetric matrices.
extension Tensor {
    /// Eigenvalues [D], ascending, and their vectors as the columns of [D, D]; the lower half of [D, D] is read.
    public func symmetricEigen() -> (values: Tensor, vectors: Tensor) {
        let parts = Op.eigen.list(self, capacity: 2)
        return parts.count == 2 ? (parts[0], parts[1]) : (.nothing, .nothing)
    }

    /// Eigenvalues [D], ascending; the lower half of [D, D] is read.
    public func symmetricEigenvalues() -> Tensor { Op.eigenvalues(self) }
}
