import Formats
import Torch

/// The numbers of samples against a reference, with what must be known to compare them.
public struct EvaluationResult: Sendable {
    /// Of the extractor, name and checksum.
    public let extractor: String
    /// Where the samples came from.
    public let samples: String
    /// How many there were.
    public let sampleCount: Int
    /// Where the reference came from.
    public let reference: String
    /// How many pictures it had; nil where a file of statistics does not say.
    public let referenceCount: Int?
    /// D, the length of a feature.
    public let featureSize: Int
    /// By name: "Fréchet distance" and what else can be had.
    public let values: [(name: String, value: Double)]

    /// Compares two sets that one extractor measured. Throws an `EvaluationError`.
    public init(
        _ samples: MeasuredSet, from samplePath: String, reference: MeasuredSet, from referencePath: String
    ) throws {
        guard samples.extractor == reference.extractor else {
            throw EvaluationError("\(samples.extractor) and \(reference.extractor) are two extractors; use one")
        }
        values = try withErrors {
            var values = [("frechet_distance", try samples.gaussian.frechetDistance(to: reference.gaussian))]
            if let own = samples.spatial, let other = reference.spatial {
                values.append(("spatial_frechet_distance", try own.frechetDistance(to: other)))
            }
            if let logits = samples.logits { values.append(("inception_score", try InceptionScore.of(logits: logits))) }
            if let own = samples.features, let others = reference.features {
                let shares = try PrecisionRecall(reference: others, samples: own)
                values += [("precision", shares.precision), ("recall", shares.recall)]
            }
            return values
        }
        extractor = samples.extractor
        (self.samples, sampleCount) = (samplePath, samples.count ?? 0)
        (self.reference, referenceCount) = (referencePath, reference.count)
        featureSize = samples.gaussian.mean.size(0)
    }

    /// What makes the numbers less than they seem: sentences.
    public var warnings: [String] {
        let counts = [(samples, sampleCount)] + (referenceCount.map { [(reference, $0)] } ?? [])
        return counts.filter { $0.1 < 10_000 }.map { path, count in
            let isSingular = count <= featureSize ? ", and their covariance is singular" : ""
            return "\(path): of \(count) pictures the distance is larger than of 10,000 or more\(isSingular); "
                + "compare it with that of as many pictures only"
        }
    }

    /// One object, with the names of the table.
    public var json: JSONValue {
        var members: [JSONValue.Member] = values.map { .init($0.name, .number($0.value)) }
        members += [
            .init("extractor", .string(extractor)), .init("samples", .string(samples)),
            .init("sample_count", .int(Int64(sampleCount))), .init("reference", .string(reference)),
        ]
        if let referenceCount { members.append(.init("reference_count", .int(Int64(referenceCount)))) }
        return .object(members)
    }
}
