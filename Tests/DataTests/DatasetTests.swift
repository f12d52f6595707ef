import Data
import Formats
import TestSupport
import Testing

@Suite struct DatasetTests {
    private func copy(_ dataset: some Dataset, _ index: Int, mirrored: Bool = false) throws -> [Float] {
        let count = dataset.channels * dataset.side * dataset.side
        return try [Float](unsafeUninitializedCapacity: count) { image, filled in
            try dataset.copyImage(
                index, epoch: 0, into: UnsafeMutableBufferPointer(rebasing: image[..<count]), mirrored: mirrored)
            filled = count
        }
    }

    @Test func bytesBecomeNumbersChannelByChannel() throws {
        let folder = try TemporaryFolder()
        let pixels: [UInt8] = [0, 51, 255, 102, 153, 204, 1, 2, 3, 4, 5, 6]
        try folder.add([
            "a/1.png": try png(value: 9),
            "b/1.png": try ImageFile.encodePNG(RGBImage(width: 2, height: 2, pixels: pixels)),
        ])
        let dataset = try PixelDataset(source: openSource(path: folder.path), side: 2)
        #expect(dataset.count == 2)
        #expect([dataset.label(0), dataset.label(1)] == [0, 1])
        let planes: [Float] = [0, 102, 1, 4, 51, 153, 2, 5, 255, 204, 3, 6]
        #expect(try copy(dataset, 1) == planes.map { $0 / 127.5 - 1 })
        let reversed: [Float] = [102, 0, 4, 1, 153, 51, 5, 2, 204, 255, 6, 3]
        #expect(try copy(dataset, 1, mirrored: true) == reversed.map { $0 / 127.5 - 1 })
        #expect(try copy(dataset, 0) == [Float](repeating: 9 / 127.5 - 1, count: 12))
    }

    @Test func theFirstBadFileIsNamed() throws {
        let folder = try TemporaryFolder()
        var files: [String: [UInt8]] = [:]
        for index in 100..<400 { files["a/\(index).png"] = try png() }
        files["a/245.png"] = []
        files["a/244.png"] = try png(side: 3)
        files["a/390.png"] = [1]
        try folder.add(files)
        let error = #expect(throws: FileError.self) {
            try PixelDataset(source: openSource(path: folder.path), side: 2)
        }
        #expect(error?.path == folder.path + "/a/244.png")
        #expect(error?.problem == "has 3x3 pixels where 2x2 are expected")
        #expect(error?.remedy.contains("transcend prepare --mode pixels --resolution 2") == true)
    }

    @Test func skippedPicturesLeaveTheOthersAsIfTheyHadNeverBeenThere() throws {
        let (clean, dirty) = (try TemporaryFolder(), try TemporaryFolder())
        for index in 100..<400 {
            let picture = try png(value: UInt8(index % 256))
            for folder in [clean, dirty] { try folder.add(["\(index % 2)/\(index).png": picture]) }
        }
        try dirty.add(["0/099.png": [], "0/150-.png": try png(side: 3), "1/999.png": [0xFF, 0xD8, 0xFF]])
        let expected = try PixelDataset(source: openSource(path: clean.path), side: 2)
        let dataset = try PixelDataset(source: openSource(path: dirty.path), side: 2, skippingBad: true)
        #expect(dataset.count == 300 && expected.skipped.isEmpty)
        for index in 0..<300 {
            #expect(try copy(dataset, index) == copy(expected, index))
            #expect(dataset.label(index) == expected.label(index))
        }
        #expect(dataset.skipped.map(\.name) == ["0/099.png", "0/150-.png", "1/999.png"])
        #expect(dataset.skipped.prefix(2).map(\.reason) == ["is empty", "has 3x3 pixels where 2x2 are expected"])
    }

    @Test func aClassIsNotLostBySkipping() throws {
        let folder = try TemporaryFolder()
        try folder.add(["cat/1.png": try png(), "dog/1.png": [], "dog/2.png": []])
        let error = #expect(throws: FileError.self) {
            try PixelDataset(source: openSource(path: folder.path), side: 2, skippingBad: true)
        }
        #expect(error?.problem == "all images of the class dog are bad: dog/1.png is empty")
    }

    @Test func aCheckCountsSizesAndListsWhatCannotBeRead() throws {
        let folder = try TemporaryFolder()
        try folder.add([
            "1.png": try png(side: 2), "2.png": try png(side: 3), "3.png": [], "4.png": try png(side: 3),
            "5.png": [1, 2],
        ])
        let check = ImageCheck(try openSource(path: folder.path))
        #expect(check.sizes.map { [$0.width, $0.height, $0.count] } == [[3, 3, 2], [2, 2, 1]])
        #expect(
            check.bad == [
                BadImage(name: "3.png", reason: "is empty"),
                BadImage(name: "5.png", reason: "is neither a JPEG nor a PNG file"),
            ])
    }

    @Test func tooManyPicturesForTheMemoryAreRefusedAtOnce() throws {
        struct Endless: ImageSource {
            var location: String { "endless" }
            var entries: [ImageEntry] { [ImageEntry](repeating: first, count: 1000) }
            var classNames: [String] { ["a"] }
            let first: ImageEntry
            func read(_ index: Int) throws -> [UInt8] { [] }
        }
        let folder = try TemporaryFolder()
        try folder.add(["1.png": []])
        let source = Endless(first: try openSource(path: folder.path).entries[0])
        let error = #expect(throws: FileError.self) { try PixelDataset(source: source, side: 1_000_000) }
        #expect(error?.problem.hasPrefix("1000 pictures of 1000000x1000000 pixels take 3000000.0 GB; ") == true)
    }

    @Test func picturesAreAFunctionOfSeedAndIndex() throws {
        let pictures = Pictures(side: 24, seed: 3, count: 40)
        #expect(pictures.image(17) == Pictures(side: 24, seed: 3, count: 100).image(17))
        #expect(pictures.image(17) != Pictures(side: 24, seed: 4, count: 40).image(17))
        #expect(pictures.image(17) != pictures.image(27))
        #expect(pictures.classNames.count == 10)
        #expect((0..<40).map(pictures.label) == (0..<40).map { $0 % 10 })
    }

    @Test(arguments: [24, 28, 32]) func picturesAreCopiedAsTheyAreShown(side: Int) throws {
        let pictures = Pictures(side: side, count: 20)
        for index in 0..<20 {
            let (pixels, plane) = (pictures.image(index).pixels, side * side)
            #expect(
                try copy(pictures, index)
                    == (0..<3 * plane).map { Float(pixels[$0 % plane * 3 + $0 / plane]) / 127.5 - 1 })
        }
    }

    /// Horizontal stripes do not change along a row, vertical ones not along a column; both have light and dark.
    @Test func stripesRunAsTheirNamesSay() throws {
        let pictures = Pictures()
        for index in 0..<20 {
            let rows = 10 * index + pictures.classNames.firstIndex(of: "horizontal stripes")!
            let columns = 10 * index + pictures.classNames.firstIndex(of: "vertical stripes")!
            let (horizontal, vertical) = (try copy(pictures, rows), try copy(pictures, columns))
            for place in 0..<3 * 24 * 24 {
                #expect(horizontal[place] == horizontal[place / 24 * 24])
                #expect(vertical[place] == vertical[place / 576 * 576 + place % 24])
            }
            #expect(Set(horizontal[..<576]).count > 1 && Set(vertical[..<24]).count > 1)
        }
    }

    /// Shapes of any two hues: their corners are dark, the middle of discs, squares, triangles and crosses is light.
    @Test func shapesAreLightOnDark() {
        let pictures = Pictures()
        for index in 0..<200 where index % 10 < 5 {
            let pixels = pictures.image(index).pixels.map(Int.init)
            // In the HSL model, 0...510: at most 0.25 of it are dark, 0.68 and more light.
            func lightness(_ row: Int, _ column: Int) -> Int {
                let colour = pixels[3 * (24 * row + column)..<3 * (24 * row + column + 1)]
                return colour.max()! + colour.min()!
            }
            #expect(lightness(0, 0) < 138)
            let isRing = pictures.classNames[index % 10] == "ring"
            #expect(isRing ? lightness(12, 12) < 138 : lightness(12, 12) > 336)
        }
    }
}
