import Evaluation
import Foundation
import TestSupport
import Testing
import Torch

@Suite struct MetricsTests {
    /// [count, width] with offset and scale by column; addressed normals.
    private func features(_ count: Int, _ width: Int, item: Int = 0, offset: Double = 0, scale: Double = 1) -> [Double]
    {
        Draws(seed: 7).normals(.noise, step: 0, item: item, count: count * width).map { Double($0) * scale + offset }
    }

    private func statistics(_ values: [Double], _ width: Int, batches: [Int]) throws -> Gaussian {
        var statistics = FeatureStatistics()
        var start = 0
        for count in batches {
            let end = start + count * width
            try statistics.add(Tensor(Array(values[start..<end]), shape: [count, width]))
            start = end
        }
        return try statistics.gaussian()
    }

    @Test(arguments: [[40], [1, 39], [13, 20, 7]])
    func meanAndCovarianceAreThoseOfTheDefinition(batches: [Int]) throws {
        // A mean 10,000 times the deviation: sums of squares would lose half of the digits.
        let (count, width) = (40, 3)
        let values = features(count, width, offset: 10_000)
        let result = try statistics(values, width, batches: batches)
        func column(_ j: Int) -> [Double] { (0..<count).map { values[$0 * width + j] } }
        let means = (0..<width).map { column($0).reduce(0, +) / Double(count) }
        var expected: [Double] = []
        for i in 0..<width {
            for j in 0..<width {
                let products = zip(column(i), column(j)).map { ($0 - means[i]) * ($1 - means[j]) }
                expected.append(products.reduce(0, +) / Double(count - 1))
            }
        }
        let (mean, covariance): ([Double], [Double]) = (result.mean.values(), result.covariance.values())
        for (a, b) in zip(mean, means) { #expect(abs(a - b) < 1e-10 * abs(b)) }
        for (a, b) in zip(covariance, expected) { #expect(abs(a - b) < 1e-10) }
    }

    /// Of independent coordinates the distance is the sum of (m1 - m2)^2 + (s1 - s2)^2.
    @Test func distanceOfDiagonalGaussiansIsThatOfTheFormula() throws {
        func diagonal(_ mean: [Double], _ deviations: [Double]) -> Gaussian {
            let side = mean.count
            var matrix = [Double](repeating: 0, count: side * side)
            for (i, deviation) in deviations.enumerated() { matrix[i * side + i] = deviation * deviation }
            return Gaussian(mean: Tensor(mean), covariance: Tensor(matrix, shape: [side, side]))
        }
        // One coordinate has no deviation: the covariance is singular.
        let a = diagonal([1, 2, 3], [1, 4, 0])
        let b = diagonal([1, 0, 7], [3, 0.5, 2])
        let expected = 0.0 + 4 + 16 + 4 + 12.25 + 4
        #expect(abs(try a.frechetDistance(to: b) - expected) < 1e-12 * expected)
        #expect(abs(try b.frechetDistance(to: a) - expected) < 1e-12 * expected)
        #expect(try a.frechetDistance(to: a) < 1e-12)
    }

    @Test func theScoreIsOneForEqualAndKForDistinctPredictions() throws {
        #expect(abs(try InceptionScore.of(logits: Tensor.zeros([6, 5])) - 1) < 1e-14)
        let distinct = (0..<4).flatMap { row in (0..<4).map { $0 == row ? 2000.0 : 0 } }
        #expect(abs(try InceptionScore.of(logits: Tensor(distinct, shape: [4, 4])) - 4) < 1e-14)
        // Two splits, one of them with one image: the mean of 4 and 1.
        let five = Tensor(distinct + [0, 0, 0, 2000], shape: [5, 4])
        #expect(abs(try InceptionScore.of(logits: five, split: 4) - 2.5) < 1e-14)
    }

    /// On a line, by hand: balls around 0, 1, 2, 10 reach to the nearest other (k = 1): 1, 1, 1, 8.
    @Test func precisionAndRecallAreThoseCountedByHand() throws {
        let reference = Tensor([0.0, 1, 2, 10], shape: [4, 1])
        // Inside: 2.5 (of 2), 3 (on the ball of 2), 17 (of 10); outside: -1.5, 100.
        let samples = Tensor([2.5, 3, 17, -1.5, 100], shape: [5, 1])
        let shares = try PrecisionRecall(reference: reference, samples: samples, neighbours: 1)
        #expect(shares.precision == 3.0 / 5)
        // Balls of the samples: 0.5, 0.5, 14, 4, 83; 0, 1, 2 lie in that of -1.5, 10 in that of 17: all.
        #expect(shares.recall == 1)
    }

    /// More points than a block has rows, and than it has columns, against a count without blocks.
    @Test func blocksChangeNothing() throws {
        let (count, others) = (8200, 1030)
        let a = features(count, 2, item: 1)
        let b = features(others, 2, item: 2, scale: 2)
        let shares = try PrecisionRecall(
            reference: Tensor(a, shape: [count, 2]), samples: Tensor(b, shape: [others, 2]), neighbours: 3)
        func squared(_ x: [Double], _ i: Int, _ y: [Double], _ j: Int) -> Double {
            let (dx, dy) = (x[2 * i] - y[2 * j], x[2 * i + 1] - y[2 * j + 1])
            return dx * dx + dy * dy
        }
        /// The fourth smallest distance of a point to its own set: itself, then three others.
        func radius(_ x: [Double], _ i: Int) -> Double {
            var least = [Double](repeating: .infinity, count: 4)
            for j in 0..<x.count / 2 {
                let distance = squared(x, i, x, j)
                if distance < least[3] { least = (least.dropLast() + [distance]).sorted() }
            }
            return least[3]
        }
        func share(_ x: [Double], in y: [Double]) -> Double {
            let radii = (0..<y.count / 2).map { radius(y, $0) }
            let covered = (0..<x.count / 2).count { i in radii.indices.contains { squared(x, i, y, $0) <= radii[$0] } }
            return Double(covered) / Double(x.count / 2)
        }
        #expect(shares.recall == share(a, in: b))
        #expect(shares.precision == share(b, in: a))
    }

    @Test func whatCannotBeMeasuredIsSaid() throws {
        var statistics = FeatureStatistics()
        #expect(throws: EvaluationError.self) { try statistics.gaussian() }
        #expect(throws: EvaluationError.self) { try statistics.add(Tensor([1.0, .nan], shape: [1, 2])) }
        try statistics.add(Tensor([1.0, 2], shape: [1, 2]))
        #expect(throws: EvaluationError.self) { try statistics.gaussian() }
        let few = Tensor.zeros([3, 2])
        #expect(throws: EvaluationError.self) { try PrecisionRecall(reference: few, samples: few) }
    }

    /// Two classes of which one is recognised in 3 of 4 pictures, the other in 1 of 2.
    @Test func classesAreRecognisedFromSevenTenthsOfTheirPicturesOn() throws {
        let logits = Tensor([1, 0, 2, 1, 0, 1, 5, 4, 0, 3, 1, 0] as [Float], shape: [6, 2])
        let found = try #require(RecognisedClasses(logits: logits, labels: [0, 0, 0, 0, 1, 1]))
        #expect(found.recognised == 1 && found.classes == 2 && found.accuracy == 4.0 / 6)
        #expect(RecognisedClasses(logits: logits, labels: [0, 0, 0, 0, 0, 0]) == nil, "a class without pictures")
        #expect(RecognisedClasses(logits: logits, labels: [0, 1, 2, 0, 1, 2]) == nil, "three classes, two logits")
    }
}
