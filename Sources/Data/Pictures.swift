import Foundation
import Torch

/// The embedded data set: drawn shapes and textures in ten classes, a pure function of seed and index.
///
/// It needs no download, and a small network learns it within minutes. Every picture is light on dark, in two colours
/// of any hue; shapes vary in position, size and rotation, textures in position and a little in period. Edges are
/// anti-aliased from signed distances, so a picture takes microseconds and is drawn on request.
public struct Pictures: Dataset {
    /// The default number of pictures.
    public static let defaultCount = 20_000
    /// The sides in pixels at which the classes can be distinguished.
    public static let sides = 24...32

    public let count: Int
    public let side: Int
    public let channels = 3
    public var classNames: [String] { PictureClass.allCases.map(\.rawValue) }

    private let draws: Draws

    /// Creates a set of `count` pictures with `side` pixels a side, 24...32; labels cycle through the classes.
    public init(side: Int = 24, seed: UInt64 = 0, count: Int = Pictures.defaultCount) {
        precondition(Self.sides.contains(side) && count > 0, "sides of \(Self.sides), at least one picture")
        self.side = side
        self.count = count
        draws = Draws(seed: seed)
    }

    public func label(_ index: Int) -> Int { index % PictureClass.allCases.count }

    public func copyImage(
        _ index: Int, epoch: Int, into image: UnsafeMutableBufferPointer<Float>, mirrored: Bool
    ) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 3 * side * side) { bytes in
            draw(index, into: bytes)
            copyRows(UnsafeBufferPointer(bytes), into: image, side: side, mirrored: mirrored)
        }
    }

    /// A picture as 8-bit RGB.
    public func image(_ index: Int) -> RGBImage {
        let planes = [UInt8](unsafeUninitializedCapacity: elementsPerSample) { bytes, filled in
            draw(index, into: bytes)
            filled = elementsPerSample
        }
        return RGBImage(planes: planes, width: side, height: side)
    }

    /// Draws a picture into [3, R, R] bytes.
    private func draw(_ index: Int, into bytes: UnsafeMutableBufferPointer<UInt8>) {
        precondition((0..<count).contains(index))
        let u = draws.uniforms(.pictures, step: 0, item: index, count: 8)
        let colours = PictureColours(hue: u[0], otherHue: u[1], saturation: u[2], contrast: u[3])
        let figure = PictureFigure(PictureClass.allCases[label(index)], variation: Array(u[4...]))

        let plane = side * side
        let pixel = 2 / Float(side)
        for row in 0..<side {
            for column in 0..<side {
                let point = SIMD2(Float(column) + 0.5, Float(row) + 0.5) * pixel - 1
                // A pixel whose centre lies on the edge is half covered.
                let cover = min(max(0.5 - figure.distance(point) / pixel, 0), 1)
                let colour = colours.background + (colours.foreground - colours.background) * cover
                for channel in 0..<3 {
                    bytes[channel * plane + row * side + column] = UInt8((colour[channel] * 255).rounded())
                }
            }
        }
    }
}

/// A light colour on a dark one. If either could be the foreground, the mean of a class would not show its shape, and a
/// network would first have to learn which is which.
private struct PictureColours {
    let foreground: SIMD3<Float>
    let background: SIMD3<Float>

    /// Creates the colours from arguments in 0..<1.
    init(hue: Float, otherHue: Float, saturation: Float, contrast: Float) {
        background = Self.colour(hue: hue, saturation: 0.5 + 0.5 * saturation, lightness: 0.08 + 0.17 * contrast)
        foreground = Self.colour(hue: otherHue, saturation: 0.6 + 0.4 * saturation, lightness: 0.68 + 0.2 * contrast)
    }

    /// The RGB colour of HSL values: hue in turns, lightness from 0 (black) to 1 (white).
    private static func colour(hue: Float, saturation: Float, lightness: Float) -> SIMD3<Float> {
        func channel(_ offset: Float) -> Float {
            let k = (offset + hue * 12).truncatingRemainder(dividingBy: 12)
            return lightness - saturation * min(lightness, 1 - lightness) * max(-1, min(k - 3, 9 - k, 1))
        }
        return SIMD3(channel(0), channel(8), channel(4))
    }
}
