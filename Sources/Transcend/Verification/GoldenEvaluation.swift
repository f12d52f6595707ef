import Evaluation
import Models
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

    /// The Inception network with weights by the formula, and its resize alone.
    static func inception(_ golden: GoldenFile) throws -> [VerificationRow] {
        let network = Inception(on: golden.device)
        GoldenFormula.fill(network, gain: 1)
        let small = try golden.tensor("input.small")
        let large = try golden.setting("large") { large -> Tensor? in
            guard let name = large["name"]?.string, let height = large["height"]?.int, let width = large["width"]?.int,
                (1...4096).contains(height), (1...4096).contains(width)
            else { return nil }
            return GoldenFormula.picture(name, height: height, width: width)
        }
        let resized = small.to(.F32).resizedAsTensorFlow1(299, 299)
        var computed = [
            "large.corner": large[0].sliced(0..<8, axis: 1).sliced(0..<8, axis: 2),
            "resize.40": small.to(.F32).resizedAsTensorFlow1(40, 40),
            "resize.299.row151": resized.sliced(151..<152, axis: 2).reshaped([-1, 3, 299]),
            "resize.299.column77": resized.sliced(77..<78, axis: 3).reshaped([-1, 3, 299]),
            "resize.299.mean": resized.to(.F64).mean([2, 3]),
        ]
        for entry in network.parameters() {
            computed["weights." + entry.name] = entry.parameter.value.detached().flattened()[0..<8]
        }
        for (size, images) in [("small", small), ("large", large.to(golden.device))] {
            let output = withoutGradients { network(images) }
            computed["\(size).pool"] = output.pool
            computed["\(size).spatial"] = output.spatial
            computed["\(size).logits"] = output.logits
        }
        return try golden.compare(computed)
    }

    /// A small DINOv2 with weights by the formula: how pictures and positions reach it, and its features.
    static func dinov2(_ golden: GoldenFile) throws -> [VerificationRow] {
        let network = DINOv2(
            DINOv2.Configuration(
                depth: try golden.setting("depth", \.int), width: try golden.setting("width", \.int),
                heads: try golden.setting("heads", \.int), registers: try golden.setting("registers", \.int),
                grid: try golden.setting("grid", \.int)), on: golden.device)
        GoldenFormula.fill(network, gain: 1)
        let side = try golden.setting("side", \.int)
        let pixels = PictureNormalisation.imageNet(side: side)(try golden.tensor("input.images"))
        return try withoutGradients {
            try golden.compare([
                "pixels": pixels, "positions": network.positionTable(grid: side / DINOv2.patch),
                "features": network(pixels),
            ])
        }
    }

    private static func gaussian(_ features: Tensor) throws -> Gaussian {
        var statistics = FeatureStatistics()
        try statistics.add(features)
        return try statistics.gaussian()
    }
}
