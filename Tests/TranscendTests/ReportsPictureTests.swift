import Data
import Testing
import Transcend

private let white = Canvas.Color(0xFFFFFF)
private let blue = Canvas.Color(0x0072B2)

extension RGBImage {
    /// The colour of one pixel.
    subscript(x: Int, y: Int) -> Canvas.Color {
        let bytes = pixels.dropFirst(3 * (y * width + x))
        return Canvas.Color(bytes.prefix(3).reduce(0) { $0 << 8 | UInt32($1) })
    }

    /// The pixels that differ from a colour.
    fileprivate func marked(besides color: Canvas.Color = Canvas.Color(0xFFFFFF)) -> [(x: Int, y: Int)] {
        (0..<height).flatMap { y in (0..<width).map { (x: $0, y: y) } }.filter { self[$0.x, $0.y] != color }
    }
}

@Suite struct CanvasTests {
    @Test func rectanglesCoverWholePixelsAndAreCutOffAtTheEdge() {
        var canvas = Canvas(width: 6, height: 4, background: white)
        canvas.fill(Canvas.Rectangle(x: 3.9, y: -5, width: 100, height: 6.2), blue)
        #expect(canvas.picture.marked().map { [$0.x, $0.y] } == [[4, 0], [5, 0]])
        #expect(canvas.picture[4, 0] == blue)
    }

    @Test func aLineCoversItsThicknessAndFadesAtItsEdges() {
        var canvas = Canvas(width: 40, height: 20, background: white)
        canvas.stroke([[.init(-10, 10), .init(50, 10)]], thickness: 3, Canvas.Color(0x000000))
        // Rows 8.5 to 11.5 are covered: two rows fully, one half above and one half below.
        let column = (6...13).map { canvas.picture[20, $0] }
        let half = Canvas.Color(0x808080)
        #expect(column == [white, white, half, Canvas.Color(0), Canvas.Color(0), half, white, white])
    }

    @Test func aTranslucentPathThatCrossesItselfIsLaidOnOnce() {
        var canvas = Canvas(width: 30, height: 30, background: white)
        canvas.stroke(
            [[.init(2, 15), .init(28, 15)], [.init(15, 2), .init(15, 28)]], thickness: 5, blue, opacity: 0.3)
        #expect(canvas.picture[15, 15] == canvas.picture[6, 15])
        #expect(canvas.picture[15, 15] != white)
    }

    @Test func nothingIsDrawnOutsideTheClip() {
        var canvas = Canvas(width: 30, height: 30, background: white)
        let clip = Canvas.Rectangle(x: 10, y: 5, width: 8, height: 20)
        canvas.stroke([[.init(0, 0), .init(30, 30)], [.init(12, 12)]], thickness: 6, blue, clip: clip)
        #expect(!canvas.picture.marked().isEmpty)
        #expect(canvas.picture.marked().allSatisfy { (10..<18).contains($0.x) && (5..<25).contains($0.y) })
    }

    @Test func everyPrintableCharacterHasAGlyphOfItsOwn() {
        var pictures: [[UInt8]] = []
        // The last is drawn as a box.
        for character in (UInt8(33)...126).map({ String(Unicode.Scalar($0)) }) + ["é", "×", "·", "–", "ü"] {
            var canvas = Canvas(width: 40, height: 40, background: white)
            canvas.text(character, at: .init(8, 28), size: 28, blue)
            #expect(!canvas.picture.marked().isEmpty)
            #expect(!pictures.contains(canvas.picture.pixels), "\(character) looks like another character")
            pictures.append(canvas.picture.pixels)
        }
    }

    @Test func textLiesWhereItsAlignmentSays() {
        func columns(_ align: Canvas.TextAlignment) -> ClosedRange<Int> {
            var canvas = Canvas(width: 300, height: 40, background: white)
            canvas.text("HUH", at: .init(150, 30), size: 20, blue, align: align)
            let columns = canvas.picture.marked().map(\.x)
            return columns.min()!...columns.max()!
        }
        let width = Int(Canvas.textWidth("HUH", size: 20))
        // The strokes' own thickness reaches a pixel or two beyond.
        #expect(abs(columns(.left).lowerBound - 150) <= 2)
        #expect(abs(columns(.right).upperBound - 150) <= 2)
        #expect(abs(columns(.center).lowerBound - (150 - width / 2)) <= 2)
    }
}

@Suite struct ImageGridTests {
    @Test func pixelsAreCutOffAsThePublishedScriptsDo() {
        // 255 (x + 1) / 2: 0.0039 -> 127.997, cut off and not rounded; what is outside [-1, 1] is limited.
        let values: [Float] = [-1, 1, 0, 0.0039, -1.5, 7, .nan, 0.99]
        let picture = RGBImage(planes: values.map(PixelRange.signed.byte), width: 4, height: 2)
        let bytes = stride(from: 0, to: 24, by: 3).map { picture.pixels[$0] }
        #expect(bytes == [0, 255, 127, 127, 0, 255, 0, 253])
    }

    @Test func channelsBecomeTheColoursOfEachPixel() {
        let picture = RGBImage(planes: [255, 0, 0, 255, 127, 127], width: 2, height: 1)
        #expect(picture.pixels == [255, 0, 127, 0, 255, 127])
    }

    @Test func smallPicturesAreEnlargedByAWholeNumberAndSetInRows() {
        let colors: [UInt32] = [0xFF0000, 0x00FF00, 0x0000FF]
        let images = colors.map { Canvas(width: 24, height: 24, background: Canvas.Color($0)).picture }
        let grid = ImageGrid(images, columns: 2).render()
        // 24 pixels become 96, and 4 pixels of padding surround each picture.
        #expect(grid.width == 204 && grid.height == 204)
        #expect(grid[4, 4] == Canvas.Color(0xFF0000) && grid[99, 99] == Canvas.Color(0xFF0000))
        #expect(grid[104, 4] == Canvas.Color(0x00FF00) && grid[4, 104] == Canvas.Color(0x0000FF))
        #expect(grid[100, 50] == white && grid[150, 150] == white)
    }

    @Test func largePicturesKeepTheirSize() {
        let images = [Canvas(width: 256, height: 256, background: blue).picture]
        #expect(ImageGrid(images, columns: 1).render().width == 264)
    }

    @Test func rowLabelsTakeRoomAtTheLeft() {
        let images = (0..<4).map { _ in Canvas(width: 24, height: 24, background: blue).picture }
        let plain = ImageGrid(images, columns: 2).render()
        let labelled = ImageGrid(images, columns: 2, rowLabels: ["ship", "golden retriever"]).render()
        let room = labelled.width - plain.width
        #expect(room > 80 && labelled.height == plain.height)
        #expect(labelled.marked().contains { $0.x < room && $0.y < 100 })
        #expect(labelled.marked().contains { $0.x < room && $0.y >= 100 })
    }

    @Test func aGridWithoutPicturesIsStillAPicture() {
        #expect(ImageGrid([], columns: 3).render().marked().isEmpty)
    }
}
