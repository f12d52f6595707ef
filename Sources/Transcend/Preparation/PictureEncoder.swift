import Data
import Foundation

/// Makes records of a store from pictures.
public protocol PictureEncoder {
    /// What a record is.
    var layout: RecordLayout { get }
    /// Nil for pixels.
    var encoding: LatentEncoding? { get }
    /// The records of the pictures, one after another, as bytes in the layout's type; the pictures are squares of equal
    /// size. Throws what the network or its numbers do not allow.
    func encode(_ pictures: [RGBImage]) throws -> [UInt8]
}

/// Stores the pictures themselves.
public struct PixelEncoder: PictureEncoder {
    /// Bytes of [3, R, R].
    public let layout: RecordLayout
    /// None: pixels are no latents.
    public var encoding: LatentEncoding? { nil }

    /// For squares of `resolution` pixels.
    public init(resolution: Int) {
        layout = RecordLayout(content: .pixels, type: .U8, channels: 3, side: resolution)
    }

    /// The planes of red, green and blue of each picture.
    public func encode(_ pictures: [RGBImage]) -> [UInt8] { pictures.flatMap(\.planes) }
}
