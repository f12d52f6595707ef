import Evaluation
import Torch

/// The checks of metrics.
extension GoldenChecks {
    /// FID, sFID, IS, precision and recall of given features.
    static func metrics(_ golden: GoldenFile) throws -> [VerificationRow] {
        func distance(_ features: String) throws -> Double {
            try gaussian(golden.tensor("input.sample.\(features)")).frechetDistance(
                to: gaussian(golden.tensor("input.reference.\(features)")))
        }
        let shares = try PrecisionRecall(
            reference: golden.tensor("input.reference.pool"), samples: golden.tensor("input.sample.pool"),
            neighbours: golden.setting("neighbours", \.int))
        let score = try InceptionScore.of(
            logits: golden.tensor("input.sample.logits"), split: golden.setting("split", \.int))
        let numbers = [
            "fid": try distance("pool"), "sfid": try distance("spatial"), "inception_score": score,
            "precision": shares.precision, "recall": shares.recall,
        ]
        return try golden.compare(numbers.mapValues { Tensor([$0]) })
    }

    private static func gaussian(_ features: Tensor) throws -> Gaussian {
        var statistics = FeatureStatistics()
        try statistics.add(features)
        return try statistics.gaussian()
    }
}
