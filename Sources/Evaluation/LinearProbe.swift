import Torch

/// A linear classifier of frozen features: how much of the classes can be read from them linearly (Alain & Bengio
/// 2016).
///
/// Ridge regression to one-hot targets, in closed form and float64, so the result depends on neither a learning rate
/// nor a seed: W = (X^T X / n + ridge I)^-1 X^T Y / n for features X standardised by the training images.
public struct LinearProbe: Sendable {
    /// The ridge added to the variance of each standardised feature.
    public static let ridge = 1e-3

    private let mean: Tensor
    private let deviation: Tensor
    /// The weight matrix [D, K].
    private let weight: Tensor
    /// The share of each class, [K]: the prediction at the mean.
    private let bias: Tensor

    /// Fits a probe to features [n, D] and their labels, 0 to K - 1.
    public init(_ features: Tensor, labels: [Int], classes: Int) {
        precondition(features.size(0) == labels.count && !labels.isEmpty)
        let x = features.to(.cpu).to(.F64)
        mean = x.mean([0])
        let centred = x - mean
        // A constant feature carries no information.
        deviation = centred.square().mean([0]).squareRoot().clamped(1e-12, .infinity)
        let standard = centred / deviation
        var targets = [Double](repeating: 0, count: labels.count * classes)
        for (place, label) in labels.enumerated() { targets[place * classes + label] = 1 }
        let y = Tensor(targets, shape: [labels.count, classes])
        bias = y.mean([0])
        let count = Double(labels.count)
        let (values, vectors) = (standard.transposed(0, 1).matmul(standard) / count).symmetricEigen()
        let right = standard.transposed(0, 1).matmul(y - bias) / count
        let turned = vectors.transposed(0, 1).matmul(right)
        weight = vectors.matmul(turned / (values.clamped(0, .infinity) + Self.ridge).expandingAxis(1))
    }

    /// The class scores [n, K] of features [n, D].
    public func scores(_ features: Tensor) -> Tensor {
        ((features.to(.cpu).to(.F64) - mean) / deviation).matmul(weight) + bias
    }

    /// The share of features [n, D] whose highest score is that of their label.
    public func accuracy(_ features: Tensor, labels: [Int]) -> Double {
        let chosen = scores(features).largestIndices().values(as: Int64.self)
        return Double(zip(chosen, labels).count { Int($0) == $1 }) / Double(labels.count)
    }
}
