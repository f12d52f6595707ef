import Foundation

/// A small sans-serif typeface made of strokes, so that text is smooth at every size and needs no font file.
///
/// A glyph is a list of strokes on a grid on which capitals are 10 units high. A stroke is a sequence of points, each
/// two hexadecimal digits: x to the right, y upwards, with the baseline at 4, the height of small letters at 11 (`b`)
/// and of capitals at 14 (`e`). A plain stroke joins its points by straight lines. `~` makes the points control points
/// of a quadratic B-spline that begins at the first and ends at the last, `*` those of a closed one: four corners of a
/// rectangle give an oval.
enum StrokeFont {
    /// The width of a line of text, in units of the font size.
    static func width(of text: String) -> Double {
        let units = text.reduce(0) { $0 + glyph($1).width + spacing }
        return Double(max(0, units - spacing)) / unitsPerSize
    }

    /// The strokes of a line of text that begins at x = 0 on the baseline y = 0, with y downwards, in units of the font
    /// size, each as a polyline.
    static func paths(of text: String) -> [[Canvas.Point]] {
        var left = 0.0
        var paths: [[Canvas.Point]] = []
        for character in text {
            let glyph = glyph(character)
            for stroke in glyph.strokes {
                paths.append(stroke.map { Canvas.Point(left + $0.x, baseline - $0.y) / unitsPerSize })
            }
            left += Double(glyph.width + spacing)
        }
        return paths
    }

    /// The height of capitals, in units of the font size.
    static let capitalHeight = 10 / unitsPerSize

    private static let unitsPerSize = 14.0
    private static let baseline = 4.0
    private static let spacing = 3

    private struct Glyph {
        let width: Int
        let strokes: [[Canvas.Point]]
    }

    private static func glyph(_ character: Character) -> Glyph {
        glyphs[character] ?? missing
    }

    private static let missing = Glyph(width: 6, strokes: [polyline("040e6e6404")])

    private static let glyphs: [Character: Glyph] = Dictionary(
        uniqueKeysWithValues: outlines.split(separator: "\n").map { line in
            let fields = line.dropFirst(2).split(separator: " ")
            return (line.first!, Glyph(width: Int(fields[0], radix: 16)!, strokes: fields.dropFirst().map(polyline)))
        })

    private static func polyline(_ stroke: Substring) -> [Canvas.Point] {
        let digits = stroke.filter { $0 != "~" && $0 != "*" }.map { Double($0.hexDigitValue!) }
        let points = stride(from: 0, to: digits.count, by: 2).map { Canvas.Point(digits[$0], digits[$0 + 1]) }
        switch stroke.first {
        case "~": return curve(points)
        case "*": return curve([(points.last! + points[0]) / 2] + points + [(points.last! + points[0]) / 2])
        default: return points
        }
    }

    /// A quadratic B-spline with these control points, clamped at both ends.
    private static func curve(_ controls: [Canvas.Point]) -> [Canvas.Point] {
        var points = [controls[0]]
        for index in 1..<controls.count - 1 {
            let start = points.last!
            let control = controls[index]
            let next = controls[index + 1]
            let end = index == controls.count - 2 ? next : (control + next) / 2
            for part in 1...8 {
                let t = Double(part) / 8
                points.append((1 - t) * (1 - t) * start + 2 * t * (1 - t) * control + t * t * end)
            }
        }
        return points
    }

    /// One glyph per line: the character, its width in hexadecimal, its strokes.
    private static let outlines = #"""
          2
        ! 0 0e08 0404
        " 3 0e0b 3e3b
        # 7 142e 546e 0777 0b7b
        $ 6 ~6c6e0e0a68640406 3f33
        % a *0a4a4e0e *64a4a868 8e24
        & 8 ~841b1e5e5b08046478
        ' 0 0e0b
        ( 2 ~2f0c0522
        ) 2 ~0f2c2502
        * 4 2e2a 0d4b 4d0b
        + 6 0868 3b35
        , 1 1502
        - 4 0848
        . 0 0404
        / 5 025f
        0 6 *04646e0e
        1 6 1c4e44
        2 6 ~0b0e6e6a04 0464
        3 6 ~0c0e6e6929 ~2969640406
        4 6 444e0767
        5 6 5e0e09 ~092a6a640406
        6 6 *04646a0a ~070e5e
        7 6 0e6e24
        8 6 *04646909 *09696e0e
        9 6 *08686e0e ~6b6414
        : 0 0404 0a0a
        ; 1 1a1a 1502
        < 6 6c0864
        = 6 0a6a 0666
        > 6 0c6804
        ? 5 ~0c0e5e5a2a27 2424
        @ 9 *37676b3b ~6b67979e0e0383
        A 8 044e84 1777
        B 6 040e ~0e2e5e592909 ~093969643404
        C 7 ~7c7e0e047476
        D 7 040e ~0e3e7e743404
        E 6 6e0e0464 0959
        F 6 6e0e04 0959
        G 7 ~7c7e0e047479 7949
        H 7 040e 747e 0979
        I 0 040e
        J 4 ~4e47440406
        K 6 040e 6e08 2a64
        L 5 0e0454
        M 8 040e478e84
        N 7 040e747e
        O 8 *04848e0e
        P 6 040e ~0e3e6e683808
        Q 8 *04848e0e 5783
        R 6 040e ~0e3e6e683808 3864
        S 6 ~6c6e0e0a68640406
        T 8 0e8e 4e44
        U 7 ~0e080474787e
        V 8 0e448e
        W c 0e346e94ce
        X 7 047e 0e74
        Y 8 0e498e 4944
        Z 7 0e7e0474
        [ 2 2f0f0222
        \ 5 0f52
        ] 2 0f2f2202
        ^ 6 0b3e6b
        _ 6 0262
        ` 2 0e2c
        a 5 ~0a0b5b5954 ~5808045457
        b 6 0e04 *04646b0b
        c 5 ~5a5b0b045455
        d 6 6e64 *04646b0b
        e 6 0868 ~686b0b046465
        f 4 ~4e1e1a14 0b4b
        g 6 *04646b0b ~6b63600001
        h 5 0e04 ~080b5b5754
        i 0 0b04 0e0e
        j 2 ~2b232000 2e2e
        k 5 0e04 5b06 2854
        l 2 ~0e060424
        m 8 0b04 ~080b4b4744 ~484b8b8784
        n 5 0b04 ~080b5b5754
        o 6 *04646b0b
        p 6 0b00 *04646b0b
        q 6 6b60 *04646b0b
        r 4 0b04 ~080b4b
        s 5 ~5a5b0b0857540405
        t 4 ~1d161444 0b4b
        u 5 ~0b08045457 5b54
        v 6 0b346b
        w 8 0b244b648b
        x 5 0b54 5b04
        y 6 0b34 6b10
        z 5 0b5b0454
        { 3 ~3f1f1909 ~09191333
        | 0 0f02
        } 3 ~0f2f2939 ~39292303
        ~ 6 ~081b5669
        é 6 0868 ~686b0b046465 2d4f
        × 5 0a54 5a04
        · 0 0808
        – 6 0868
        """#
}

extension Canvas {
    /// The alignment of a line of text relative to its point.
    public enum TextAlignment: Sendable {
        /// Text begins at the point.
        case left
        /// Text is centred on the point.
        case center
        /// Text ends at the point.
        case right
    }

    /// Draws one line of text whose baseline goes through a point.
    ///
    /// `size` is the font size in pixels; capitals are 5/7 of it high. Characters outside ASCII (except `×`, `·`, `–`)
    /// are drawn as a box.
    public mutating func text(
        _ text: String, at point: Point, size: Double, _ color: Color, align: TextAlignment = .left, bold: Bool = false
    ) {
        let width = Self.textWidth(text, size: size)
        let shift = align == .left ? 0 : align == .center ? width / 2 : width
        let origin = point - Point(shift, 0)
        let paths = StrokeFont.paths(of: text).map { path in path.map { origin + size * $0 } }
        stroke(paths, thickness: size * (bold ? 0.125 : 0.085), color)
    }

    /// The height of capitals, in units of the font size.
    static let capitalHeight = StrokeFont.capitalHeight

    /// The width in pixels of a line of text.
    public static func textWidth(_ text: String, size: Double) -> Double {
        size * StrokeFont.width(of: text)
    }
}
