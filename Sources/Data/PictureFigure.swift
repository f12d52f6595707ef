import Foundation

/// The classes of the embedded pictures.
enum PictureClass: String, CaseIterable {
    case disc, ring, square, triangle, cross
    case horizontalStripes = "horizontal stripes"
    case verticalStripes = "vertical stripes"
    case diagonalStripes = "diagonal stripes"
    case checkerboard, dots
}

/// A shape or texture of one class in the square [-1, 1] x [-1, 1], x to the right and y down.
struct PictureFigure {
    private let kind: PictureClass
    private let centre: SIMD2<Float>
    /// Half the size of a shape, or the period of a texture.
    private let size: Float
    /// The cosine and the sine of a shape's rotation.
    private let turn: SIMD2<Float>

    /// Creates a figure from at least four numbers in 0..<1: place (two), size or period, rotation.
    init(_ kind: PictureClass, variation u: [Float]) {
        self.kind = kind
        centre = (SIMD2(u[0], u[1]) - 0.5) * 0.25
        let period = 0.95 + 0.1 * u[2]
        switch kind {
        case .disc, .ring, .square, .triangle, .cross: size = 0.66 + 0.18 * u[2]
        case .horizontalStripes, .verticalStripes, .dots: size = period * 2 / 3
        // The same spacing along rows and columns as the other stripes.
        case .diagonalStripes: size = period * 2 / 3 * Float(0.5).squareRoot()
        case .checkerboard: size = period
        }
        // Shapes stay nearly upright, so that no rotated square looks like a diamond.
        let angle = (u[3] - 0.5) * 0.2
        turn = SIMD2(cos(angle), sin(angle))
    }

    /// The signed distance of a point to the figure's edge, negative inside (exact, or the nearest of several edges).
    func distance(_ point: SIMD2<Float>) -> Float {
        let offset = point - centre
        let local = SIMD2(turn.x * offset.x + turn.y * offset.y, turn.x * offset.y - turn.y * offset.x)
        switch kind {
        case .disc: return length(offset) - size
        case .ring: return abs(length(offset) - 0.74 * size) - 0.24 * size
        case .square: return box(local, SIMD2(repeating: 0.86 * size))
        case .triangle: return triangle(local - SIMD2(0, 0.2 * size), 0.55 * size)
        case .cross:
            let (long, short) = (0.98 * size, 0.3 * size)
            return min(box(local, SIMD2(long, short)), box(local, SIMD2(short, long)))
        case .horizontalStripes: return stripe(offset.y)
        case .verticalStripes: return stripe(offset.x)
        case .diagonalStripes: return stripe((offset.x + offset.y) * Float(0.5).squareRoot())
        case .checkerboard:
            let (x, y) = (stripe(offset.x), stripe(offset.y))
            // Inside where exactly one of the two stripes is.
            return x * y < 0 ? -min(abs(x), abs(y)) : min(abs(x), abs(y))
        case .dots:
            return length(SIMD2(fold(offset.x), fold(offset.y))) - 0.31 * size
        }
    }

    private func length(_ v: SIMD2<Float>) -> Float { (v * v).sum().squareRoot() }

    private func box(_ point: SIMD2<Float>, _ half: SIMD2<Float>) -> Float {
        let outside = SIMD2(abs(point.x), abs(point.y)) - half
        let positive = SIMD2(max(outside.x, 0), max(outside.y, 0))
        return length(positive) + min(max(outside.x, outside.y), 0)
    }

    /// The distance to an upward-pointing equilateral triangle; `radius` is the radius of its inscribed circle.
    private func triangle(_ point: SIMD2<Float>, _ radius: Float) -> Float {
        let sides = abs(point.x) * Float(0.75).squareRoot() - point.y * 0.5
        return max(sides, point.y) - radius
    }

    /// The signed distance to the nearest multiple of the period, at most half a period.
    private func fold(_ x: Float) -> Float { x - size * (x / size).rounded() }

    /// The distance to stripes as wide as the gaps between them.
    private func stripe(_ x: Float) -> Float { abs(fold(x)) - size / 4 }
}
