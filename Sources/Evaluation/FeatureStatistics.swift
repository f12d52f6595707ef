import Torch

/// Mean [D] and covariance [D, D] of features, in float64: all that a Fréchet distance uses of a set of images.
public struct Gaussian: Sendable {
    /// The mean [D].
    public let mean: Tensor
    /// The covariance [D, D], symmetric.
    public let covariance: Tensor

    /// Creates a Gaussian; the tensors are converted to float64 on the CPU.
    public init(mean: Tensor, covariance: Tensor) {
        (self.mean, self.covariance) = (mean.to(.cpu).to(.F64), covariance.to(.cpu).to(.F64))
    }
}

/// Accumulates mean and covariance of features batch by batch, in float64, without keeping the features.
///
/// Chunks of some thousand images are merged by the formula of Chan, Golub and LeVeque (1979), which does not cancel
/// where the mean is large compared with the deviation. Memory is that of one chunk and a few [D, D] matrices, whatever
/// the number of images.
public struct FeatureStatistics: Sendable {
    /// The number of images so far.
    public private(set) var count = 0
    /// The mean, and the sum of (x - mean)(x - mean)^T; nil before the first image.
    private var sums: (mean: Tensor, scatter: Tensor)?
    /// The features that came since the last merge: merging takes several passes over [D, D].
    private var waiting: [Tensor] = []
    private var joined = 0

    private static let part = 2048

    /// Creates empty statistics.
    public init() {}

    /// Adds the features [N, D] of N images, all with the same D. Throws an `EvaluationError` if one is not finite.
    public mutating func add(_ features: Tensor) throws {
        let x = features.to(.cpu).to(.F64)
        guard x.isFinite else {
            throw EvaluationError("features of images \(count) to \(count + x.size(0) - 1) are not finite numbers")
        }
        if x.size(0) == 0 { return }
        waiting.append(x)
        count += x.size(0)
        if count - joined >= Self.part { join() }
    }

    /// Merges the waiting features into the sums.
    private mutating func join() {
        guard count > joined else { return }
        let x = Tensor.concatenate(waiting)
        let ownMean = x.mean([0])
        let centred = x - ownMean
        let ownScatter = centred.transposed(0, 1).matmul(centred)
        let (old, new) = (Double(joined), Double(count - joined))
        (waiting, joined) = ([], count)
        guard let (mean, scatter) = sums else {
            sums = (ownMean, ownScatter)
            return
        }
        let difference = ownMean - mean
        let column = difference.expandingAxis(1)
        let between = column.matmul(column.transposed(0, 1)) * (old * new / (old + new))
        sums = (mean + difference * (new / (old + new)), scatter + ownScatter + between)
    }

    /// The mean and the unbiased covariance, divided by N - 1. Throws an `EvaluationError` for fewer than two images.
    public func gaussian() throws -> Gaussian {
        var all = self
        all.join()
        guard let (mean, scatter) = all.sums, count >= 2 else {
            throw EvaluationError("\(count) images have no covariance; give at least 2")
        }
        return Gaussian(mean: mean, covariance: scatter / Double(count - 1))
    }
}

/// The reason why images cannot be measured, in one sentence.
public struct EvaluationError: Error, CustomStringConvertible {
    /// The sentence, on one line.
    public let description: String

    init(_ description: String) { self.description = description }
}
