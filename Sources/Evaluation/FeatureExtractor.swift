import Formats
import Torch

/// What an extractor says of N images.
public struct ImageFeatures: Sendable {
    /// [N, D], what Fréchet distance, precision and recall are taken of.
    public var features: Tensor
    /// [N, K], what the Inception Score is taken of; nil where the extractor is no classifier.
    public var logits: Tensor?
    /// [N, S], features that keep their places, of which sFID is taken; nil where the extractor has none.
    public var spatial: Tensor?

    /// Features, and what else there is.
    public init(features: Tensor, logits: Tensor? = nil, spatial: Tensor? = nil) {
        (self.features, self.logits, self.spatial) = (features, logits, spatial)
    }
}

/// A network that turns images into features. Numbers of different extractors cannot be compared.
public protocol FeatureExtractor: Sendable {
    /// Its name and a checksum of its weights, as results and references state them.
    var identity: String { get }
    /// Of bytes [N, 3, H, W]. Throws what keeps it from computing.
    func callAsFunction(_ images: Tensor) throws -> ImageFeatures
}

/// A TorchScript file: bytes [N, 3, H, W] in, features [N, D] or a tuple (features, logits [N, K]) out.
public struct TorchScriptExtractor: FeatureExtractor {
    public let identity: String
    private let script: TorchScript

    /// Loads the file, which is executed; throws a `FileError`.
    public init(path: String) throws {
        identity = try fileIdentity(path)
        script = try TorchScript(path: path)
    }

    public func callAsFunction(_ images: Tensor) throws -> ImageFeatures {
        let results = try script(images)
        let areFit = results.allSatisfy { $0.rank == 2 && $0.size(0) == images.size(0) && $0.size(1) > 0 }
        guard (1...2).contains(results.count), areFit else {
            let shapes = results.map { "\($0.shape)" }.joined(separator: ", ")
            throw FileError(
                script.path, "returns \(shapes) for \(images.size(0)) images",
                remedy: "an extractor returns features [N, D], or features and logits [N, K]")
        }
        return ImageFeatures(features: results[0], logits: results.count > 1 ? results[1] : nil)
    }
}
