import Formats

/// A subset of a data set, in an order of its own.
public struct DatasetPart: Dataset {
    private let whole: any Dataset
    private let indices: [Int]

    /// The pictures of `whole` with these indices.
    public init(_ whole: any Dataset, indices: [Int]) { (self.whole, self.indices) = (whole, indices) }

    public var count: Int { indices.count }
    public var classNames: [String] { whole.classNames }
    public var channels: Int { whole.channels }
    public var side: Int { whole.side }
    public var canMirror: Bool { whole.canMirror }
    public var latents: LatentEncoding? { whole.latents }
    public var features: [FeatureLayout] { whole.features }
    /// A checksum of the fingerprint of the whole and the indices.
    public var fingerprint: String {
        get throws {
            Checksum(of: try whole.fingerprint + "\n" + indices.map(String.init).joined(separator: " ")).text
        }
    }

    public func label(_ index: Int) -> Int { whole.label(indices[index]) }

    public func copyImage(
        _ index: Int, epoch: Int, into image: UnsafeMutableBufferPointer<Float>, mirrored: Bool
    ) throws {
        try whole.copyImage(indices[index], epoch: epoch, into: image, mirrored: mirrored)
    }

    public func copyFeatures(
        _ index: Int, of encoder: Int, mirrored: Bool, into numbers: UnsafeMutableBufferPointer<Float>
    ) throws {
        try whole.copyFeatures(indices[index], of: encoder, mirrored: mirrored, into: numbers)
    }
}
