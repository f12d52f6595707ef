import Formats
import Models
import Torch

/// A pretrained network whose features of patches others follow.
public protocol PatchEncoder: Sendable {
    /// The name of its file and a checksum, and one of how it sees pictures where that is not in the file.
    var identity: String { get }
    /// Features [N, M, Z] of bytes [N, 3, R, R], on the device of the bytes. Throws what keeps it from computing.
    func callAsFunction(_ images: Tensor) throws -> Tensor
}

extension PatchEncoder {
    /// The number of tokens M and their size Z for pictures of a side; throws what the encoder does not allow.
    public func shape(side: Int) throws -> (tokens: Int, width: Int) {
        let features = try withErrors { try self(.zeros([1, 3, side, side], .U8)) }
        return (features.size(1), features.size(2))
    }
}

/// How numbers from bytes become what an encoder sees.
public struct PictureNormalisation: Sendable, Equatable {
    /// The side to which pictures are resized, bicubically and without antialiasing; nil: they stay.
    public var side: Int?
    /// Of red, green and blue from 0 to 1.
    public var mean, deviation: [Double]

    /// (x - mean) / deviation of numbers from 0 to 1, three of each.
    public init(side: Int? = nil, mean: [Double] = [0, 0, 0], deviation: [Double] = [1, 1, 1]) {
        (self.side, self.mean, self.deviation) = (side, mean, deviation)
    }

    /// A checksum.
    var identity: String {
        let numbers = ([side.map(Double.init) ?? 0] + mean + deviation).map { "\($0)" }
        return Checksum(of: numbers.joined(separator: " ")).text
    }

    /// That of ImageNet's pictures.
    public static func imageNet(side: Int) -> PictureNormalisation {
        PictureNormalisation(side: side, mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225])
    }

    /// Bytes [B, 3, R, R] in REPA's order: to [0, 1], normalised, then resized: [B, 3, side, side].
    public func callAsFunction(_ bytes: Tensor) -> Tensor {
        func column(_ values: [Double]) -> Tensor { Tensor(values).reshaped([1, 3, 1, 1]).to(bytes.device) }
        let normalised = (bytes.to(.F64) / 255 - column(mean)) / column(deviation)
        guard let side, side != bytes.size(-1) else { return normalised.to(.F32) }
        return normalised.resizedBicubically(side: side, antialiased: false).to(.F32)
    }
}

/// A TorchScript file as an encoder, run on the CPU: its method `patches`, else what it returns, is [N, M, Z].
public struct TorchScriptEncoder: PatchEncoder {
    public let identity: String
    private let script: TorchScript
    private let normalisation: PictureNormalisation?
    private let method: String

    /// Loads the file, which is executed. It gets bytes as they are, or what `normalisation` makes of them. Throws a `FileError`.
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

/// The name of a file and a checksum of it, as results and stores state where numbers come from. Throws a `FileError`.
public func fileIdentity(_ path: String) throws -> String {
    let checksum = try MappedFile(path: path).withBytes { Checksum(of: $0) }
    return "\(fileName(path)) \(checksum.text)"
}

/// What stands behind the last slash of a path.
func fileName(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }
