import Torch

/// Colours features by their principal components, so that features that a network treats as similar look similar.
public struct PrincipalColours: Sendable {
    /// The principal components [D, 3], orthonormal; the entry of largest magnitude of each is positive.
    let basis: Tensor
    /// The standard deviation of all features along each component, [3].
    let deviations: Tensor

    /// The number of standard deviations that a colour's range spans on each side of the middle.
    private static let reach = 2.5

    /// Computes one basis for groups of features [n, D] each, n and D 3 or more. The features of a group, such as all
    /// of one block, are first centred and divided by their root mean square, so that no group counts more than another
    /// by its scale alone.
    public init(of groups: [Tensor]) {
        precondition(!groups.isEmpty && groups.allSatisfy { $0.rank == 2 && $0.size(1) >= 3 })
        let covariances = groups.map { group in
            let features = Self.standardised(group)
            return features.transposed(0, 1).matmul(features) / Double(features.size(0))
        }
        let covariance = covariances.dropFirst().reduce(covariances[0], +) / Double(groups.count)
        let (values, vectors) = covariance.symmetricEigen()
        let size = covariance.size(0)
        // In ascending order; the last three are the largest.
        let largest = vectors.sliced(size - 3..<size, axis: 1)
        let columns = (0..<3).reversed().map { index -> Tensor in
            let column = largest.sliced(index..<index + 1, axis: 1)
            let numbers: [Double] = column.flattened().values()
            let extreme = numbers.max { abs($0) < abs($1) } ?? 1
            return extreme < 0 ? -column : column
        }
        basis = .concatenate(columns, axis: 1)
        let variances: [Double] = values.sliced(size - 3..<size, axis: 0).values()
        deviations = Tensor(variances.reversed().map { max($0, 1e-30).squareRoot() }, shape: [3])
    }

    /// Red, green and blue of a group's features [n, D], as bytes [n, 3] one after another.
    public func bytes(_ group: Tensor) -> [UInt8] {
        let places = Self.standardised(group).matmul(basis) / (2 * Self.reach * deviations) + 0.5
        return (255 * places.clamped(0, 1)).values(as: Double.self).map { UInt8($0.rounded()) }
    }

    private static func standardised(_ group: Tensor) -> Tensor {
        let features = group.to(.cpu).to(.F64)
        let centred = features - features.mean([0])
        let size = centred.square().mean().squareRoot().item()
        return size > 0 ? centred / size : centred
    }
}
