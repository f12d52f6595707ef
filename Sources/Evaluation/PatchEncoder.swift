import Formats
import Models
import Torch

/// A pretrained network whose patch features are alignment targets.
public protocol PatchEncoder: Sendable {
    /// The name of its file and a checksum, and a checksum of the normalisation if that is not in the file.
    var identity: String { get }
    /// The features [N, M, Z] of uint8 images [N, 3, R, R], on the images' device. Throws if they cannot be computed.
    func callAsFunction(_ images: Tensor) throws -> Tensor
}

extension PatchEncoder {
    /// The number of tokens M and their size Z for pictures with a given side; throws if the encoder does not support
    /// it.
    public func shape(side: Int) throws -> (tokens: Int, width: Int) {
        let features = try withErrors { try self(.zeros([1, 3, side, side], .U8)) }
        return (features.size(1), features.size(2))
    }
}

/// The resizing and normalisation of pictures for an encoder.
public struct PictureNormalisation: Sendable, Equatable {
    /// The side to which pictures are resized, bicubically and without antialiasing; nil to keep theirs.
    public var side: Int?
    /// The mean and standard deviation of red, green and blue, on a scale of 0 to 1.
    public var mean, deviation: [Double]

    /// Creates a normalisation (x - mean) / deviation of numbers from 0 to 1, three of each.
    public init(side: Int? = nil, mean: [Double] = [0, 0, 0], deviation: [Double] = [1, 1, 1]) {
        (self.side, self.mean, self.deviation) = (side, mean, deviation)
    }

    /// A checksum of the normalisation.
    var identity: String {
        let numbers = ([side.map(Double.init) ?? 0] + mean + deviation).map { "\($0)" }
        return Checksum(of: numbers.joined(separator: " ")).text
    }

    /// The normalisation for ImageNet's pictures.
    public static func imageNet(side: Int) -> PictureNormalisation {
        PictureNormalisation(side: side, mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225])
    }

    /// Converts uint8 images [B, 3, R, R] in REPA's order, to [0, 1], normalised, then resized: [B, 3, side, side].
    public func callAsFunction(_ bytes: Tensor) -> Tensor {
        func column(_ values: [Double]) -> Tensor { Tensor(values).reshaped([1, 3, 1, 1]).to(bytes.device) }
        let normalised = (bytes.to(.F64) / 255 - column(mean)) / column(deviation)
        guard let side, side != bytes.size(-1) else { return normalised.to(.F32) }
        return normalised.resizedBicubically(side: side, antialiased: false).to(.F32)
    }
}

/// A TorchScript file as an encoder, run on the CPU: its method `patches`, or `forward` if there is none, returns [N,
/// M, Z].
public struct TorchScriptEncoder: PatchEncoder {
    public let identity: String
    private let script: TorchScript
    private let normalisation: PictureNormalisation?
    private let method: String

    /// Loads the file, which is executed. It receives uint8 images, or normalised ones if `normalisation` is given.
    /// Throws a `FileError`.
    public init(path: String, normalisation: PictureNormalisation? = nil) throws {
        let seen = normalisation.map { "-\($0.identity)" } ?? ""
        identity = try fileIdentity(path) + seen
        script = try TorchScript(path: path)
        self.normalisation = normalisation
        method = script.hasMethod("patches") ? "patches" : "forward"
    }

    public func callAsFunction(_ images: Tensor) throws -> Tensor {
        let input = images.to(.cpu)
        let results = try script(normalisation?(input) ?? input, method: method)
        guard results.count == 1, results[0].rank == 3, results[0].size(0) == images.size(0) else {
            let shapes = results.map { "\($0.shape)" }.joined(separator: ", ")
            throw FileError(
                script.path, "returns \(shapes) for \(images.size(0)) images by its method \(method)",
                remedy: "an encoder's `patches`, or else `forward`, returns features [N, M, Z]")
        }
        return results[0].to(.F32).to(images.device)
    }
}

/// The name of a file and its checksum, as stated in results and stores. Throws a `FileError`.
public func fileIdentity(_ path: String) throws -> String {
    let checksum = try MappedFile(path: path).withBytes { Checksum(of: $0) }
    return "\(fileName(path)) \(checksum.text)"
}

/// The part of a path after the last slash.
func fileName(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }
