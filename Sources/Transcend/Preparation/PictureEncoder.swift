import Data
import Foundation

/// Turns pictures into records of a store.
public protocol PictureEncoder {
    /// The layout of a record.
    var layout: RecordLayout { get }
    /// The encoding of latents; nil for pixels.
    var encoding: LatentEncoding? { get }
    /// The records of the pictures, one after another, as bytes in the layout's type; the pictures are squares of equal
    /// size. Throws if the network does not support them or its numbers are out of range.
    func encode(_ pictures: [RGBImage]) throws -> [UInt8]
}

/// Stores the pictures themselves.
public struct PixelEncoder: PictureEncoder {
    /// The layout of bytes [3, R, R].
    public let layout: RecordLayout
    /// Nil: pixels are not latents.
    public var encoding: LatentEncoding? { nil }

    /// Creates an encoder for squares of `resolution` pixels.
    public init(resolution: Int) {
        layout = RecordLayout(content: .pixels, type: .U8, channels: 3, side: resolution)
    }

    /// The planes of red, green and blue of each picture.
    public func encode(_ pictures: [RGBImage]) -> [UInt8] { pictures.flatMap(\.planes) }
}
