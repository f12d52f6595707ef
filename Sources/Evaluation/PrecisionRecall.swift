import Torch

/// Precision and recall of Kynkäänniemi et al. (2019): whether a sample lies within the balls around the reference's
/// images, and vice versa. A ball reaches to its image's k-th neighbour in its own set.
public struct PrecisionRecall: Sendable, Equatable {
    /// The number of neighbours k, as in ADM.
    public static let neighbours = 3

    /// The share of the samples within the balls around the reference.
    public let precision: Double
    /// The share of the reference within the balls around the samples.
    public let recall: Double

    /// Computes them from features [N, D] and [M, D]. Distances are float64, in blocks, so that memory beside the
    /// features does not grow with N M. Throws an `EvaluationError` if a set is not larger than `neighbours` or lengths
    /// differ.
    public init(reference: Tensor, samples: Tensor, neighbours: Int = neighbours) throws {
        for (name, features) in [("reference", reference), ("samples", samples)] where features.size(0) <= neighbours {
            throw EvaluationError(
                "the \(name) are \(features.size(0)) images; precision and recall need more than \(neighbours)")
        }
        guard reference.size(1) == samples.size(1) else {
            throw EvaluationError(
                "features of \(reference.size(1)) and of \(samples.size(1)) numbers have no distance; use one extractor"
            )
        }
        let sets = [reference, samples].map(PointSet.init)
        precision = sets[0].shareCovered(of: sets[1], neighbours: neighbours)
        recall = sets[1].shareCovered(of: sets[0], neighbours: neighbours)
    }
}

/// Points [N, D], converted to float64 block by block.
private struct PointSet {
    let points: Tensor

    private static let rows = 1024
    private static let columns = 8192

    private func blocks(_ size: Int) -> [Range<Int>] {
        stride(from: 0, to: points.size(0), by: size).map { $0..<min($0 + size, points.size(0)) }
    }

    private func block(_ bounds: Range<Int>) -> Tensor { points[bounds].to(.cpu).to(.F64) }

    /// The squared distance [N] of each point to its k-th nearest other. Each point is its own nearest.
    private func squaredRadii(_ neighbours: Int) -> Tensor {
        .concatenate(
            blocks(Self.rows).map { rows in
                let own = block(rows)
                var nearest: Tensor?
                for columns in blocks(Self.columns) {
                    let distances = squaredDistances(own, block(columns))
                    let smallest = distances.smallest(min(neighbours + 1, columns.count))
                    let both = nearest.map { Tensor.concatenate([$0, smallest], axis: -1) } ?? smallest
                    nearest = both.smallest(min(neighbours + 1, both.size(1)))
                }
                return nearest!.sliced(neighbours..<neighbours + 1, axis: 1).flattened()
            })
    }

    /// The share of the other points that lie in, or on, a ball around one of these points.
    func shareCovered(of others: PointSet, neighbours: Int) -> Double {
        let radii = squaredRadii(neighbours)
        let covered = others.blocks(Self.rows).map { rows in
            let own = others.block(rows)
            let hits = blocks(Self.columns).map { columns in
                squaredDistances(own, block(columns)).hasAny(atMost: radii[columns]).expandingAxis(1)
            }
            return Tensor.concatenate(hits, axis: 1).sum([1]).clamped(0, 1).sum().item()
        }
        return covered.reduce(0, +) / Double(others.points.size(0))
    }
}

/// Squared distances of [N, D] and [M, D] -> [N, M], none below 0.
private func squaredDistances(_ a: Tensor, _ b: Tensor) -> Tensor {
    let sums = a.square().sum([1]).expandingAxis(1) + b.square().sum([1])
    return (sums - 2 * a.matmul(b.transposed(0, 1))).clamped(0, .infinity)
}
