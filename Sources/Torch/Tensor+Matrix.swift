private enum Op {
    static let eigen = Operator("linalg_eigh")
    static let eigenvalues = Operator("linalg_eigvalsh")
}

/// Eigenvalues of symmetric matrices.
extension Tensor {
    /// The eigenvalues [D], ascending, and the eigenvectors as the columns of [D, D]; only the lower half of [D, D] is
    /// read.
    public func symmetricEigen() -> (values: Tensor, vectors: Tensor) {
        let parts = Op.eigen.list(self, capacity: 2)
        return parts.count == 2 ? (parts[0], parts[1]) : (.nothing, .nothing)
    }

    /// The eigenvalues [D], ascending; only the lower half of [D, D] is read.
    public func symmetricEigenvalues() -> Tensor { Op.eigenvalues(self) }
}
