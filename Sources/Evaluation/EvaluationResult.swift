import Formats
import Torch

/// The metrics of samples against a reference, with everything needed to compare them.
public struct EvaluationResult: Sendable {
    /// The name and checksum of the extractor.
    public let extractor: String
    /// The source of the samples.
    public let samples: String
    /// The number of samples.
    public let sampleCount: Int
    /// The source of the reference.
    public let reference: String
    /// The number of pictures in the reference; nil if a file of statistics does not say.
    public let referenceCount: Int?
    /// The feature dimension D.
    public let featureSize: Int
    /// The metrics by name: "frechet_distance" and the others that are available.
    public let values: [(name: String, value: Double)]
    /// The estimated upward bias of the Fréchet distance due to few samples; nil for 10,000 or more, or if it cannot be
    /// estimated. The distance is modelled as that of infinitely many samples plus c / N (Chong and Forsyth 2020), so
    /// the excess of half of the samples over all of them is this bias.
    public let bias: Double?
    /// The number of classes that the extractor recognises, and of all classes; nil if it does not classify them.
    public let recognised: (classes: Int, of: Int)?
    /// Of samples and reference; nil where both are of one size, or that is not known.
    public let sizes: (samples: PictureSize, reference: PictureSize)?
    /// How the samples were drawn; nil if that is not known.
    public var stamp: JSONValue?

    /// The names that `values` may have.
    public static let metrics = [
        "frechet_distance", "spatial_frechet_distance", "inception_score", "precision", "recall", "class_accuracy",
    ]

    /// What people call one of them: "Fréchet distance".
    public static func title(of metric: String) -> String {
        metric.replacing("_", with: " ").replacing("frechet", with: "Fréchet")
    }

    /// Compares two sets measured by the same extractor. Throws an `EvaluationError`.
    public init(
        _ samples: MeasuredSet, from samplePath: String, reference: MeasuredSet, from referencePath: String
    ) throws {
        guard samples.extractor == reference.extractor else {
            throw EvaluationError("\(samples.extractor) and \(reference.extractor) are two extractors; use one")
        }
        let recognised = samples.logits.flatMap { logits in
            samples.labels.flatMap { RecognisedClasses(logits: logits, labels: $0) }
        }
        self.recognised = recognised.map { ($0.recognised, $0.classes) }
        let distance = try withErrors { try samples.gaussian.frechetDistance(to: reference.gaussian) }
        bias = try withErrors { try Self.bias(of: samples, to: reference, distance: distance) }
        values = try withErrors {
            var values = [("frechet_distance", distance)]
            if let own = samples.spatial, let other = reference.spatial {
                values.append(("spatial_frechet_distance", try own.frechetDistance(to: other)))
            }
            if let logits = samples.logits { values.append(("inception_score", try InceptionScore.of(logits: logits))) }
            if let own = samples.features, let others = reference.features {
                let shares = try PrecisionRecall(reference: others, samples: own)
                values += [("precision", shares.precision), ("recall", shares.recall)]
            }
            if let recognised { values.append(("class_accuracy", recognised.accuracy)) }
            return values
        }
        extractor = samples.extractor
        (self.samples, sampleCount) = (samplePath, samples.count ?? 0)
        (self.reference, referenceCount) = (referencePath, reference.count)
        featureSize = samples.gaussian.mean.size(0)
        if let own = samples.pictureSize, let other = reference.pictureSize, own != other {
            sizes = (own, other)
        } else {
            sizes = nil
        }
    }

    /// The number of pictures from which on the bias is not reported.
    private static let enough = 10_000

    private static func bias(
        of samples: MeasuredSet, to reference: MeasuredSet, distance: Double
    ) throws -> Double? {
        guard let features = samples.features, features.size(0) < enough, features.size(0) >= 4 else { return nil }
        // Samples may be sorted by class.
        let order = Draws(seed: 0).order(epoch: 0, items: features.size(0))
        let half = order.prefix(features.size(0) / 2).map(Int64.init)
        var statistics = FeatureStatistics()
        try statistics.add(features.gathering(Tensor(half, shape: [half.count])))
        return try max(0, statistics.gaussian().frechetDistance(to: reference.gaussian) - distance)
    }

    /// Caveats about the numbers, one sentence each.
    public var warnings: [String] {
        let ofSizes = sizes.map { own, other in
            "\(samples): its pictures have \(own.width) x \(own.height) pixels, those of \(reference) \(other.width) x "
                + "\(other.height), and that alone makes them differ; compare pictures of one size"
        }
        let counts = [(samples, sampleCount)] + (referenceCount.map { [(reference, $0)] } ?? [])
        return (ofSizes.map { [$0] } ?? [])
            + counts.filter { $0.1 < Self.enough }.map { path, count in
                let isSingular = count <= featureSize ? ", and their covariance is singular" : ""
                let excess = path == samples ? bias ?? 0 : 0
                let share = excess > 0 ? String(format: ", by about %.3g", excess) : ""
                return
                    "\(path): of \(count) pictures the distance is larger than of 10,000 or more\(share)\(isSingular); "
                    + "compare it with that of as many pictures only"
            }
    }

    /// The result as one JSON object, with the names of the table.
    public var json: JSONValue {
        var members: [JSONValue.Member] = values.map { .init($0.name, .number($0.value)) }
        func add(_ name: String, _ number: Int?) { if let number { members.append(.init(name, .int(Int64(number)))) } }
        if let bias { members.append(.init("estimated_bias", .number(bias))) }
        add("recognised_classes", recognised?.classes)
        add("classes", recognised?.of)
        members += [
            .init("extractor", .string(extractor)), .init("feature_size", .int(Int64(featureSize))),
            .init("samples", .string(samples)), .init("sample_count", .int(Int64(sampleCount))),
            .init("reference", .string(reference)),
        ]
        add("reference_count", referenceCount)
        if let sizes {
            members += [
                .init("sample_size", Self.json(sizes.samples)), .init("reference_size", Self.json(sizes.reference)),
            ]
        }
        if let stamp { members.append(.init("protocol", stamp)) }
        return .object(members)
    }

    private static func json(_ size: PictureSize) -> JSONValue {
        .array([size.width, size.height].map { .int(Int64($0)) })
    }

    private static func size(_ json: JSONValue?) -> PictureSize? {
        let sides = json?.elements?.compactMap(\.int) ?? []
        return sides.count == 2 ? PictureSize(width: sides[0], height: sides[1]) : nil
    }

    /// Reads the result from such an object; nil if it is not one.
    public init?(json: JSONValue) {
        guard let extractor = json["extractor"]?.string, let samples = json["samples"]?.string,
            let sampleCount = json["sample_count"]?.int, let reference = json["reference"]?.string,
            let featureSize = json["feature_size"]?.int
        else { return nil }
        (self.extractor, self.samples, self.sampleCount) = (extractor, samples, sampleCount)
        (self.reference, self.featureSize) = (reference, featureSize)
        (referenceCount, bias) = (json["reference_count"]?.int, json["estimated_bias"]?.double)
        values = Self.metrics.compactMap { name in json[name]?.double.map { (name, $0) } }
        recognised = json["recognised_classes"]?.int.flatMap { found in json["classes"]?.int.map { (found, $0) } }
        sizes = Self.size(json["sample_size"]).flatMap { own in
            Self.size(json["reference_size"]).map { (own, $0) }
        }
        stamp = json["protocol"]
    }

    /// The value of that name; nil if there is none.
    public subscript(name: String) -> Double? { values.first { $0.name == name }?.value }
}
