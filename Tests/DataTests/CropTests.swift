import Data
import Testing

/// The bytes themselves are compared with golden files of Pillow (`transcend verify`, kind crop).
@Suite struct CropTests {
    private func picture(_ width: Int, _ height: Int) -> RGBImage {
        RGBImage(
            width: width, height: height,
            pixels: (0..<width * height * 3).map { UInt8(truncatingIfNeeded: $0 &* $0 / 7) })
    }

    @Test func aSquareOfTheRightSizeIsLeftAlone() {
        #expect(picture(32, 32).centreCropped(to: 32) == picture(32, 32))
    }

    @Test func theMiddleIsCutOutWhereOneSideFits() {
        let (wide, crop) = (picture(41, 8), picture(41, 8).centreCropped(to: 8))
        for row in 0..<8 {
            // (41 - 8) / 2, rounded down.
            #expect(crop.pixels[24 * row..<24 * (row + 1)] == wide.pixels[3 * (41 * row + 16)..<3 * (41 * row + 24)])
        }
    }

    /// The strip, enlarged as a whole, would be a picture of 256 x 5,120,000 pixels.
    @Test func aNarrowStripIsEnlargedWhereItIsSeen() {
        let strip = RGBImage(width: 1, height: 20_000, pixels: [UInt8](repeating: 77, count: 60_000))
        let crop = strip.centreCropped(to: 256)
        #expect(crop == RGBImage(width: 256, height: 256, pixels: [UInt8](repeating: 77, count: 3 * 256 * 256)))
    }

    @Test func aMirrorExchangesLeftAndRight() {
        let image = RGBImage(width: 2, height: 2, pixels: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
        #expect(image.mirrored.pixels == [4, 5, 6, 1, 2, 3, 10, 11, 12, 7, 8, 9])
        #expect(image.planes == [1, 4, 7, 10, 2, 5, 8, 11, 3, 6, 9, 12])
    }
}
