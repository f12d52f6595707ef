import Formats
import Foundation
import Models
import Torch

/// The Inception network of 2015 with its published weights: its Fréchet distance is FID, its spatial one sFID, as ADM
/// defines them.
public struct InceptionExtractor: FeatureExtractor {
    /// The published file name of the weights.
    public static let fileName = "pt_inception-2015-12-05-6726825d.pth"
    /// The URL of the weights; the name ends with the beginning of their SHA-256.
    public static let address = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/" + fileName

    public let identity: String
    private let network: Inception

    /// Loads the weights from a `torch.save` or safetensors file. Throws a `FileError` if they are missing, with the
    /// URL, or belong to another network.
    public init(path: String, on device: Device = .cpu) throws {
        guard FileManager.default.fileExists(atPath: path) else {
            throw FileError(
                path, "is not there",
                remedy: "fetch \(Self.address) (SHA-256 6726825d...) into it, or give another --extractor")
        }
        identity = try fileIdentity(path)
        let network = Inception(on: device)
        let weights = try openWeights(path: path)
        // PyTorch's counter of training batches of a norm, which nothing else reads.
        let used = weights.names.filter { !$0.hasSuffix(".num_batches_tracked") }
        try withErrors {
            try TensorSection(weights, used.map { ($0, $0) }).load(network.parameters().tensors)
        }
        self.network = network
    }

    public func callAsFunction(_ images: Tensor) -> ImageFeatures {
        let device = network.parameters()[0].parameter.value.device
        let output = withoutGradients { network(images.to(device)) }
        return ImageFeatures(
            features: output.pool.to(images.device), logits: output.logits.to(images.device),
            spatial: output.spatial.to(images.device))
    }
}

/// Opens the extractor in a file: weights of the Inception network, or else a TorchScript module. Throws a `FileError`.
public func openExtractor(path: String, on device: Device = .cpu) throws -> any FeatureExtractor {
    if path.hasSuffix("/" + InceptionExtractor.fileName) || holdsInception(path) {
        return try InceptionExtractor(path: path, on: device)
    }
    return try TorchScriptExtractor(path: path)
}

/// Whether a file is a TorchScript module, which is a torch.save archive too, but contains code.
func isProgram(_ path: String) -> Bool {
    (try? ZipArchive(path: path))?.entries.contains { $0.name.contains("/code/") } ?? false
}

private func holdsInception(_ path: String) -> Bool {
    if isProgram(path) { return false }
    return (try? openWeights(path: path))?.names.contains("Conv2d_1a_3x3.conv.weight") ?? false
}
