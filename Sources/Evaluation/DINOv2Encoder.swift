import Formats
import Foundation
import Models
import Torch

/// DINOv2 with its published weights, which REPA follows: patch features after the final norm, without the class token.
public struct DINOv2Encoder: PatchEncoder {
    /// The published files of sizes S, B and L, with the registers of Darcet et al. and without, and their SHA-256.
    public static let published: [(file: String, checksum: String)] = [
        ("dinov2_vits14_pretrain.pth", "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9"),
        ("dinov2_vitb14_pretrain.pth", "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73"),
        ("dinov2_vitl14_pretrain.pth", "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428"),
        ("dinov2_vits14_reg4_pretrain.pth", "f433177089a681826f849f194ece3bb48f4d63fb38d32fc837e3dc7a4e5641fb"),
        ("dinov2_vitb14_reg4_pretrain.pth", "73182a088cf94833c94b1666d1c99e02fe87e2007bff57b564fb6206e25dba71"),
        ("dinov2_vitl14_reg4_pretrain.pth", "36e4deffbaef061a2576705b0c36f93621e2ae20bf6274694821b0b492551b51"),
    ]

    public let identity: String
    private let network: DINOv2
    private let normalisation: PictureNormalisation
    private let device: Device

    /// Loads weights from a `torch.save` or safetensors file. The network sees each picture as `grid` x `grid` patches.
    /// Throws a `FileError` if the file is missing, with its URL, or is not a DINOv2 of size S, B or L.
    public init(path: String, grid: Int, on device: Device = .cpu) throws {
        try Self.checkPresence(path)
        identity = try fileIdentity(path)
        let weights = try openWeights(path: path)
        let network = DINOv2(try Self.configuration(weights), on: device)
        try withErrors { try weights.load(network.parameters().tensors) }
        (self.network, self.device) = (network, device)
        normalisation = .imageNet(side: DINOv2.patch * grid)
    }

    public func callAsFunction(_ images: Tensor) -> Tensor {
        withoutGradients { network(normalisation(images.to(device))) }.to(images.device)
    }

    /// Whether a file is one of DINOv2's, or should be by its name.
    static func isOne(path: String) -> Bool {
        let name = fileName(path)
        if published.contains(where: { $0.file == name }) { return true }
        return (try? openWeights(path: path)).map { $0.shape("blocks.0.ls1.gamma") != nil } ?? false
    }

    private static func checkPresence(_ path: String) throws {
        guard !FileManager.default.fileExists(atPath: path) else { return }
        let name = fileName(path)
        guard let known = published.first(where: { $0.file == name }) else {
            throw FileError(path, "is not there", remedy: "give the file of an encoder")
        }
        let folder = name.split(separator: "_").prefix(2).joined(separator: "_")
        throw FileError(
            path, "is not there",
            remedy: "fetch https://dl.fbaipublicfiles.com/dinov2/\(folder)/\(name) (SHA-256 \(known.checksum))")
    }

    /// The configuration that the shapes of the weights imply; heads have width 64 in all sizes.
    static func configuration(_ weights: any NamedTensors) throws -> DINOv2.Configuration {
        let depth = (0...).first { weights.layout(of: "blocks.\($0).norm1.weight") == nil } ?? 0
        guard let token = weights.shape("cls_token"), token.count == 3, let table = weights.shape("pos_embed"),
            table.count == 3, weights.shape("patch_embed.proj.weight") == [token[2], 3, DINOv2.patch, DINOv2.patch],
            weights.shape("blocks.0.mlp.fc1.weight") != nil, token[2] % 64 == 0, depth > 0, table[1] > 1
        else {
            throw FileError(
                weights.path, "holds no DINOv2 of size S, B or L",
                remedy: "give one of \(published.map(\.file).joined(separator: ", "))")
        }
        return DINOv2.Configuration(
            depth: depth, width: token[2], heads: token[2] / 64,
            registers: weights.shape("register_tokens")?.dropFirst().first ?? 0,
            grid: Int(Double(table[1] - 1).squareRoot().rounded()))
    }
}

/// Opens the encoder in a file: weights of DINOv2, which sees pictures as `grid` x `grid` patches, or else a
/// TorchScript module. Throws a `FileError`.
public func openEncoder(
    path: String, grid: Int, normalisation: PictureNormalisation? = nil, on device: Device = .cpu
) throws -> any PatchEncoder {
    if !isProgram(path), DINOv2Encoder.isOne(path: path) {
        return try DINOv2Encoder(path: path, grid: grid, on: device)
    }
    return try TorchScriptEncoder(path: path, normalisation: normalisation)
}
