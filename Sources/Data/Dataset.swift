import Formats

/// Square pictures or latents with labels, with random access.
public protocol Dataset: Sendable {
    /// The number of pictures.
    var count: Int { get }
    /// The classes, indexed by label.
    var classNames: [String] { get }
    /// The number of channels C.
    var channels: Int { get }
    /// The side R in pixels, or in elements of a latent.
    var side: Int { get }
    /// The images of the source that cannot be used and are not counted; empty unless skipping was requested.
    var skipped: [BadImage] { get }
    /// Pictures of the source in formats that are not read.
    var unread: UnreadPictures { get }
    /// Whether pictures are available mirrored left to right.
    var canMirror: Bool { get }
    /// The autoencoder and normalisation of latents; nil for pixels.
    var latents: LatentEncoding? { get }
    /// The stored encoder features of each picture; empty if none are stored.
    var features: [FeatureLayout] { get }
    /// An identity of the data set: a checksum of the pictures, or of what lists them.
    var fingerprint: String { get throws }
    /// The class of a picture, counted from 0.
    func label(_ index: Int) -> Int
    /// Writes a picture as [C, R, R] in [-1, 1] (a byte b becomes b / 127.5 - 1), mirrored left to right if requested.
    ///
    /// A latent is sampled from its distribution, differently in each epoch; epochs count from 0. Safe to call from
    /// several threads. Throws if the picture cannot be read.
    func copyImage(_ index: Int, epoch: Int, into image: UnsafeMutableBufferPointer<Float>, mirrored: Bool) throws
    /// Writes the features [tokens, width] of a picture by one of the encoders in `features`, or those of its mirror
    /// image, which must be stored. Safe to call from several threads. Throws if they cannot be read.
    func copyFeatures(
        _ index: Int, of encoder: Int, mirrored: Bool, into numbers: UnsafeMutableBufferPointer<Float>
    ) throws
}

extension Dataset {
    /// C R R, the number of elements of one picture.
    public var elementsPerSample: Int { channels * side * side }
    /// Pictures as `copyImage` writes them, [N, C, R, R]. Throws if one cannot be read.
    public func images(_ indices: [Int], epoch: Int = 0) throws -> [Float] {
        try gathered(indices.count, size: elementsPerSample) { place, image in
            try copyImage(indices[place], epoch: epoch, into: image, mirrored: false)
        }
    }
    /// Empty by default: nothing is left out.
    public var skipped: [BadImage] { [] }
    /// None.
    public var unread: UnreadPictures { UnreadPictures() }
    /// True by default: the rows of pictures are reversed.
    public var canMirror: Bool { true }
    /// Nil by default: the data are pixels.
    public var latents: LatentEncoding? { nil }
    /// Empty by default: no features are stored.
    public var features: [FeatureLayout] { [] }
    /// Must not be called by default: there are no features.
    public func copyFeatures(
        _ index: Int, of encoder: Int, mirrored: Bool, into numbers: UnsafeMutableBufferPointer<Float>
    ) throws {
        preconditionFailure("the data set holds no features")
    }
    /// A checksum of the classes and the labels.
    public var fingerprint: String {
        let labels = (0..<count).map { String(label($0)) }.joined(separator: " ")
        return Checksum(of: classNames.joined(separator: "\n") + "\n" + labels).text
    }
}

/// Equal-sized parts in a row, each written by `body`.
func gathered(
    _ count: Int, size: Int, _ body: (_ place: Int, _ part: UnsafeMutableBufferPointer<Float>) throws -> Void
) rethrows -> [Float] {
    try [Float](unsafeUninitializedCapacity: count * size) { all, filled in
        for place in 0..<count {
            try body(place, UnsafeMutableBufferPointer(rebasing: all[place * size..<(place + 1) * size]))
        }
        filled = count * size
    }
}

/// Writes rows of bytes as numbers in [-1, 1], byte / 127.5 - 1.
///
/// - Parameters:
///   - bytes: [rows, side], contiguous.
///   - image: as many numbers as `bytes` has.
///   - mirrored: whether each row is reversed.
func copyRows(
    _ bytes: UnsafeBufferPointer<UInt8>, into image: UnsafeMutableBufferPointer<Float>, side: Int, mirrored: Bool
) {
    precondition(bytes.count == image.count && bytes.count % side == 0)
    if !mirrored {
        for index in bytes.indices { image[index] = PixelRange.signed.number(bytes[index]) }
        return
    }
    for start in stride(from: 0, to: bytes.count, by: side) {
        for column in 0..<side {
            image[start + column] = PixelRange.signed.number(bytes[start + side - 1 - column])
        }
    }
}
