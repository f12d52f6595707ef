import Data
import Formats
import Torch

/// The features of a set of pictures by one extractor.
public struct MeasuredSet: Sendable {
    /// Pictures that go through the extractor together.
    public static let batch = 100

    /// The extractor's identity.
    public let extractor: String
    /// Pictures that were measured; nil where a file of statistics does not say.
    public let count: Int?
    /// Mean and covariance of all features.
    public let gaussian: Gaussian
    /// The same of features that keep their places; nil where the extractor has none.
    public let spatial: Gaussian?
    /// [N, D] of some pictures or of all, for precision and recall; nil where there are none.
    public let features: Tensor?
    /// [N, K]; nil where the extractor is no classifier.
    public let logits: Tensor?
    /// The class of each picture; nil where it is not known.
    public let labels: [Int]?

    /// Measures all pictures, which have to be of one size. `progress` is told how many are done. Throws what keeps a
    /// picture from being read or measured.
    public init(
        _ pictures: any PictureSet, by extractor: any FeatureExtractor,
        progress: (_ done: Int) throws -> Void = { _ in }
    ) throws {
        var (statistics, spatialStatistics) = (FeatureStatistics(), FeatureStatistics())
        var (features, logits): ([Tensor], [Tensor]) = ([], [])
        var size: (width: Int, height: Int)?
        for start in stride(from: 0, to: pictures.count, by: Self.batch) {
            let images = try (start..<min(start + Self.batch, pictures.count)).map(pictures.picture)
            let expected = size ?? (images[0].width, images[0].height)
            size = expected
            if let odd = images.first(where: { ($0.width, $0.height) != expected }) {
                throw FileError(
                    pictures.location,
                    "holds pictures of \(expected.width) x \(expected.height) and of \(odd.width) x \(odd.height) pixels",
                    remedy: "bring them to one size, as transcend prepare does")
            }
            let shape = [images.count, expected.height, expected.width, 3]
            let result = try withErrors {
                let bytes = Tensor(images.flatMap(\.pixels), shape: shape).permuted([0, 3, 1, 2]).contiguous()
                let result = try extractor(bytes)
                try statistics.add(result.features)
                if let spatial = result.spatial { try spatialStatistics.add(spatial) }
                return result
            }
            features.append(result.features.to(.F32))
            if let own = result.logits { logits.append(own.to(.F32)) }
            try progress(start + images.count)
        }
        self.extractor = extractor.identity
        count = pictures.count
        gaussian = try withErrors { try statistics.gaussian() }
        spatial = try withErrors { spatialStatistics.count > 0 ? try spatialStatistics.gaussian() : nil }
        self.features = .concatenate(features)
        self.logits = logits.isEmpty ? nil : .concatenate(logits)
        labels = pictures.labels
    }

    /// As a file of statistics says (see `StatisticsFile`); `features` are those of its pictures.
    init(extractor: String, gaussian: Gaussian, spatial: Gaussian?, features: Tensor?) {
        (self.extractor, self.gaussian, self.spatial, self.features) = (extractor, gaussian, spatial, features)
        (count, logits, labels) = (nil, nil, nil)
    }
}
