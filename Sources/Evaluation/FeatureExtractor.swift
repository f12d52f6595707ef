import Formats
import Torch

/// An extractor's output for N images.
public struct ImageFeatures: Sendable {
    /// Features [N, D] for Fréchet distance, precision and recall.
    public var features: Tensor
    /// Logits [N, K] for the Inception Score; nil if the extractor is no classifier.
    public var logits: Tensor?
    /// Spatial features [N, S] for sFID; nil if the extractor has none.
    public var spatial: Tensor?

    /// Creates the output from features and optional logits and spatial features.
    public init(features: Tensor, logits: Tensor? = nil, spatial: Tensor? = nil) {
        (self.features, self.logits, self.spatial) = (features, logits, spatial)
    }
}

/// A network that turns images into features. Metrics of different extractors are not comparable.
public protocol FeatureExtractor: Sendable {
    /// Its name and a checksum of its weights, as given in results and references.
    var identity: String { get }
    /// The features of uint8 images [N, 3, H, W]. Throws if they cannot be computed.
    func callAsFunction(_ images: Tensor) throws -> ImageFeatures
}

/// A TorchScript extractor: uint8 images [N, 3, H, W] in, features [N, D] or a tuple (features, logits [N, K]) out.
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
