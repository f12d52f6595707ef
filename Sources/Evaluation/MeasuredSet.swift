import Data
import Formats
import Torch

/// The features of a set of pictures by one extractor.
public struct MeasuredSet: Sendable {
    /// The number of pictures in an extractor batch.
    public static let batch = 100

    /// The extractor's identity.
    public let extractor: String
    /// The number of pictures measured; nil if a file of statistics does not say.
    public let count: Int?
    /// Of the pictures; nil where a file of statistics holds none of them.
    public let pictureSize: PictureSize?
    /// Mean and covariance of all features.
    public let gaussian: Gaussian
    /// Mean and covariance of spatial features; nil if the extractor has none.
    public let spatial: Gaussian?
    /// Features [N, D] of some or all pictures, for precision and recall; nil if there are none.
    public let features: Tensor?
    /// Logits [N, K]; nil if the extractor is no classifier.
    public let logits: Tensor?
    /// The class of each picture; nil if it is not known.
    public let labels: [Int]?

    /// Measures all pictures, which must have the same size. `progress` is called with the number done. Throws if a
    /// picture cannot be read or measured.
    ///
    /// Of n processes each takes every n-th batch; the first one gathers the features in order, so its result is
    /// bit-identical to that of a single process, and the others return nil.
    public static func measure(
        _ pictures: any PictureSet, by extractor: any FeatureExtractor, among ranks: any Ranks,
        progress: (_ done: Int) throws -> Void = { _ in }
    ) throws -> MeasuredSet? {
        var (statistics, spatialStatistics) = (FeatureStatistics(), FeatureStatistics())
        var (features, logits): ([Tensor], [Tensor]) = ([], [])
        var size: PictureSize?
        for start in stride(from: 0, to: pictures.count, by: batch * ranks.size) {
            let end = min(start + batch * ranks.size, pictures.count)
            try pictures.prepare(start..<end)
            let own = start + batch * ranks.rank
            let range = own < end ? own..<min(own + batch, end) : 0..<0
            let result = try self.features(of: range, pictures, extractor, size: &size)
            let all = try gather(result, of: size, among: ranks)
            guard ranks.rank == 0 else { continue }
            for other in all { try check(other.size, with: size, in: pictures.location) }
            for part in all.compactMap(\.features) {
                try withErrors {
                    try statistics.add(part.features)
                    if let spatial = part.spatial { try spatialStatistics.add(spatial) }
                }
                features.append(part.features.to(.F32))
                if let own = part.logits { logits.append(own.to(.F32)) }
            }
            try progress(end)
        }
        if ranks.rank > 0 { return nil }
        return MeasuredSet(
            extractor: extractor.identity, count: pictures.count,
            gaussian: try withErrors { try statistics.gaussian() },
            spatial: try withErrors { spatialStatistics.count > 0 ? try spatialStatistics.gaussian() : nil },
            features: .concatenate(features), logits: logits.isEmpty ? nil : .concatenate(logits),
            labels: pictures.labels, pictureSize: size)
    }

    /// Measures all pictures in this process alone.
    public init(
        _ pictures: any PictureSet, by extractor: any FeatureExtractor,
        progress: (_ done: Int) throws -> Void = { _ in }
    ) throws {
        self = try Self.measure(pictures, by: extractor, among: OneRank(), progress: progress)!
    }

    /// The extractor's output for some pictures; nil for none.
    private static func features(
        of range: Range<Int>, _ pictures: any PictureSet, _ extractor: any FeatureExtractor,
        size: inout PictureSize?
    ) throws -> ImageFeatures? {
        let images = try range.map(pictures.picture)
        guard let first = images.first else { return nil }
        let expected = size ?? PictureSize(width: first.width, height: first.height)
        size = expected
        for image in images {
            try check(PictureSize(width: image.width, height: image.height), with: expected, in: pictures.location)
        }
        let shape = [images.count, expected.height, expected.width, 3]
        return try withErrors {
            let bytes = Tensor(images.flatMap(\.pixels), shape: shape).permuted([0, 3, 1, 2]).contiguous()
            return try extractor(bytes)
        }
    }

    /// Creates a set; `count`, `logits` and `labels` are nil for a file of statistics (see `StatisticsFile`), and
    /// `features` are those of its pictures.
    init(
        extractor: String, count: Int? = nil, gaussian: Gaussian, spatial: Gaussian?, features: Tensor?,
        logits: Tensor? = nil, labels: [Int]? = nil, pictureSize: PictureSize?
    ) {
        (self.extractor, self.count, self.gaussian, self.spatial) = (extractor, count, gaussian, spatial)
        (self.features, self.logits, self.labels, self.pictureSize) = (features, logits, labels, pictureSize)
    }
}
