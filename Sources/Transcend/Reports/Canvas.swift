import Data
import Foundation

/// A picture on which lines, rectangles, text and other pictures are drawn.
///
/// Coordinates are pixels from the upper left corner; the pixel (0, 0) covers [0, 1) x [0, 1). Everything outside is
/// clipped. Colours are blended as stored (sRGB), as plotting programs do.
public struct Canvas: Sendable {
    /// A point or a displacement in pixels.
    public typealias Point = SIMD2<Double>

    /// The picture drawn so far.
    public private(set) var picture: RGBImage

    /// The width in pixels.
    public var width: Int { picture.width }
    /// The height in pixels.
    public var height: Int { picture.height }

    /// An sRGB colour.
    public struct Color: Sendable, Equatable {
        let red: UInt8
        let green: UInt8
        let blue: UInt8

        /// Creates the colour with a code such as `0xD55E00`.
        public init(_ code: UInt32) {
            red = UInt8(truncatingIfNeeded: code >> 16)
            green = UInt8(truncatingIfNeeded: code >> 8)
            blue = UInt8(truncatingIfNeeded: code)
        }
    }

    /// An axis-parallel rectangle in pixels.
    public struct Rectangle: Sendable, Equatable {
        /// The left edge.
        public var x: Double
        /// The upper edge.
        public var y: Double
        /// The extent to the right.
        public var width: Double
        /// The extent downwards.
        public var height: Double

        /// Creates a rectangle from its upper left corner and its extent.
        public init(x: Double, y: Double, width: Double, height: Double) {
            (self.x, self.y, self.width, self.height) = (x, y, width, height)
        }

        /// The right edge.
        public var right: Double { x + width }
        /// The lower edge.
        public var bottom: Double { y + height }
    }

    /// Creates a picture of one colour.
    public init(width: Int, height: Int, background: Color) {
        let pixels = [UInt8](unsafeUninitializedCapacity: 3 * width * height) { bytes, count in
            for index in 0..<width * height {
                bytes[3 * index] = background.red
                bytes[3 * index + 1] = background.green
                bytes[3 * index + 2] = background.blue
            }
            count = 3 * width * height
        }
        picture = RGBImage(width: width, height: height, pixels: pixels)
    }
}

extension Canvas {
    /// Fills a rectangle; edges are rounded to whole pixels, so that they are crisp.
    public mutating func fill(_ area: Rectangle, _ color: Color, opacity: Double = 1) {
        let (columns, rows) = inside(area)
        for y in rows {
            for x in columns { blend(x, y, color, opacity) }
        }
    }

    /// Draws lines with round ends through the points of each path, `thickness` pixels wide, anti-aliased.
    ///
    /// All paths of one call are one shape: where they cross, a translucent colour is applied once. A path of one point
    /// is a dot. Only the part inside `clip` is drawn.
    public mutating func stroke(
        _ paths: [[Point]], thickness: Double, _ color: Color, opacity: Double = 1, clip: Rectangle? = nil
    ) {
        let reach = thickness / 2 + 1
        let (columns, rows) = inside(bounds(of: paths, reach: reach), within: clip)
        guard !columns.isEmpty, !rows.isEmpty else { return }

        var coverage = [Float](repeating: 0, count: columns.count * rows.count)
        for path in paths {
            for (index, end) in path.enumerated() where index > 0 || path.count == 1 {
                cover(&coverage, columns, rows, from: path[max(0, index - 1)], to: end, radius: thickness / 2)
            }
        }
        for (row, y) in rows.enumerated() {
            for (column, x) in columns.enumerated() {
                let share = coverage[row * columns.count + column]
                if share > 0 { blend(x, y, color, Double(share) * opacity) }
            }
        }
    }

    /// Draws another picture with its upper left corner at a pixel, each of its pixels enlarged to `scale` x `scale`.
    public mutating func draw(_ other: RGBImage, x left: Int, y top: Int, scale: Int = 1) {
        precondition(scale > 0, "pictures are enlarged by a whole number")
        for y in max(0, top)..<max(0, top, min(height, top + other.height * scale)) {
            for x in max(0, left)..<max(0, left, min(width, left + other.width * scale)) {
                let source = 3 * ((y - top) / scale * other.width + (x - left) / scale)
                let target = 3 * (y * width + x)
                for channel in 0..<3 { picture.pixels[target + channel] = other.pixels[source + channel] }
            }
        }
    }

    private mutating func blend(_ x: Int, _ y: Int, _ color: Color, _ opacity: Double) {
        let index = 3 * (y * width + x)
        func mix(_ old: UInt8, _ new: UInt8) -> UInt8 {
            UInt8((Double(old) + (Double(new) - Double(old)) * min(1, max(0, opacity))).rounded())
        }
        picture.pixels[index] = mix(picture.pixels[index], color.red)
        picture.pixels[index + 1] = mix(picture.pixels[index + 1], color.green)
        picture.pixels[index + 2] = mix(picture.pixels[index + 2], color.blue)
    }

    /// The pixels of a rectangle that are on the canvas and, if there is one, inside `clip`.
    private func inside(_ area: Rectangle, within clip: Rectangle? = nil) -> (columns: Range<Int>, rows: Range<Int>) {
        func pixels(_ low: Double, _ high: Double, _ clipLow: Double, _ clipHigh: Double, _ limit: Int) -> Range<Int> {
            let first = max(low, clipLow, 0).rounded()
            let last = min(high, clipHigh, Double(limit)).rounded()
            return first < last ? Int(first)..<Int(last) : 0..<0
        }
        let edge = clip ?? Rectangle(x: 0, y: 0, width: Double(width), height: Double(height))
        return (
            pixels(area.x, area.right, edge.x, edge.right, width),
            pixels(area.y, area.bottom, edge.y, edge.bottom, height)
        )
    }
}

/// The bounding rectangle of all points, extended by `reach` on each side.
private func bounds(of paths: [[Canvas.Point]], reach: Double) -> Canvas.Rectangle {
    var low = Canvas.Point(repeating: .infinity)
    var high = Canvas.Point(repeating: -.infinity)
    for path in paths {
        for point in path {
            low = pointwiseMin(low, point)
            high = pointwiseMax(high, point)
        }
    }
    guard low.x <= high.x else { return Canvas.Rectangle(x: 0, y: 0, width: 0, height: 0) }
    return Canvas.Rectangle(
        x: low.x - reach, y: low.y - reach, width: high.x - low.x + 2 * reach, height: high.y - low.y + 2 * reach)
}

/// Raises `coverage` (one value in 0...1 for each pixel of `rows` x `columns`) to the coverage of a line with round
/// ends.
private func cover(
    _ coverage: inout [Float], _ columns: Range<Int>, _ rows: Range<Int>,
    from start: Canvas.Point, to end: Canvas.Point, radius: Double
) {
    let along = end - start
    let length = (along * along).sum()
    let reach = radius + 1
    func near(_ a: Double, _ b: Double, _ range: Range<Int>) -> Range<Int> {
        let first = max(Double(range.lowerBound), (min(a, b) - reach).rounded(.down))
        let last = min(Double(range.upperBound), (max(a, b) + reach).rounded(.up))
        return first < last ? Int(first)..<Int(last) : 0..<0
    }
    let span = near(start.x, end.x, columns)
    for y in near(start.y, end.y, rows) {
        for x in span {
            let offset = Canvas.Point(Double(x) + 0.5, Double(y) + 0.5) - start
            let place = length > 0 ? min(1, max(0, (offset * along).sum() / length)) : 0
            let away = offset - place * along
            let share = Float(radius + 0.5 - (away * away).sum().squareRoot())
            let index = (y - rows.lowerBound) * columns.count + (x - columns.lowerBound)
            if share > coverage[index] { coverage[index] = min(1, share) }
        }
    }
}
