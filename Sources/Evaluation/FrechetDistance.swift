import Torch

extension Gaussian {
    /// The Fréchet distance of two Gaussians, |mu_1 - mu_2|^2 + trace(S_1 + S_2 - 2 (S_1 S_2)^(1/2)) (Dowson and Landau
    /// 1982); with Inception's pooled features it is FID (Heusel et al. 2017), with its spatial ones sFID (Nash et al.
    /// 2021).
    ///
    /// S_1 S_2 has the eigenvalues of the symmetric R S_2 R with R = S_1^(1/2). They are real and at least 0, even if a
    /// covariance is singular, and come from a symmetric decomposition; those that rounding makes negative count as 0.
    /// A general root of the product, as SciPy takes it, can be off by half there. Throws an `EvaluationError` if the
    /// features have different lengths.
    public func frechetDistance(to other: Gaussian) throws -> Double {
        let (size, otherSize) = (mean.size(0), other.mean.size(0))
        guard size == otherSize else {
            throw EvaluationError("features of \(size) and of \(otherSize) numbers have no distance; use one extractor")
        }
        let root = covariance.symmetricRoot()
        let shared = root.matmul(other.covariance).matmul(root).symmetricEigenvalues()
        let traces = covariance.trace() + other.covariance.trace()
        let distance =
            (mean - other.mean).square().sum().item() + traces
            - 2 * shared.clamped(0, .infinity).squareRoot().sum().item()
        // For equal Gaussians, rounding leaves about 1e-13 of the traces, on either side of 0.
        return max(0, distance)
    }
}

extension Tensor {
    /// The square root of a symmetric positive semidefinite matrix.
    fileprivate func symmetricRoot() -> Tensor {
        let (values, vectors) = symmetricEigen()
        return (vectors * values.clamped(0, .infinity).squareRoot()).matmul(vectors.transposed(0, 1))
    }

    fileprivate func trace() -> Double {
        let side = size(0)
        let all: [Double] = values()
        return (0..<side).reduce(0) { $0 + all[$1 * side + $1] }
    }
}
