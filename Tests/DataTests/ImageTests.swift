import Data
import Formats
import TestSupport
import Testing

@Suite struct ImageTests {
    /// Expected values are those of other decoders; for PNG they are exact.
    @Test func unusualAndBrokenFilesAreReadAsAgreed() throws {
        let archive = try ZipArchive(path: fixture("odd-images.zip"))
        let expected = try JSONValue.read(path: fixture("odd-images.json"))
        #expect(archive.entries.count == 51)
        for entry in archive.entries {
            let bytes = try archive.read(entry)
            guard let values = expected[entry.name], values != .null else {
                let error = #expect(throws: FileError.self, "\(entry.name)") {
                    try ImageFile.decode(bytes, name: entry.name)
                }
                #expect(error?.path == entry.name)
                continue
            }
            let image = try ImageFile.decode(bytes, name: entry.name)
            let (width, height) = (image.width, image.height)
            #expect([values["width"]?.int, values["height"]?.int] == [width, height], "\(entry.name)")

            let tolerance = values["tolerance"]!.double!
            for channel in 0..<3 {
                let sum = stride(from: channel, to: image.pixels.count, by: 3).reduce(0) { $0 + Int(image.pixels[$1]) }
                let mean = Double(sum) / Double(width * height)
                // The expected means are rounded to three decimals.
                #expect(abs(mean - values["mean"]!.elements![channel].double!) <= tolerance + 0.0006, "\(entry.name)")
            }
            let corners = [0, width - 1, (height - 1) * width, height * width - 1]
            for (pixel, corner) in zip(corners, values["corners"]!.elements!) {
                for (channel, value) in corner.elements!.enumerated() {
                    let difference = abs(Int(image.pixels[3 * pixel + channel]) - value.int!)
                    #expect(difference <= (tolerance == 0 ? 0 : 8), "\(entry.name)")
                }
            }
        }
    }

    @Test func filesCutAnywhereAreErrors() throws {
        let archive = try ZipArchive(path: fixture("odd-images.zip"))
        for name in ["good/one-pixel.png", "good/interlaced-5x3.png", "good/one-pixel.jpg", "good/progressive.jpg"] {
            let bytes = try archive.read(archive.entries.first { $0.name == name }!)
            for count in 0..<bytes.count {
                #expect(throws: FileError.self, "\(name) cut to \(count) bytes") {
                    try ImageFile.decode(Array(bytes.prefix(count)), name: name)
                }
            }
        }
    }

    @Test func filesWithOneChangedByteAreErrorsOrPictures() throws {
        let archive = try ZipArchive(path: fixture("odd-images.zip"))
        for name in ["good/palette-2bit.png", "good/ycck-adobe.jpg", "good/gray-alpha.png", "good/progressive.jpg"] {
            let bytes = try archive.read(archive.entries.first { $0.name == name }!)
            for position in stride(from: 0, to: bytes.count, by: 3) {
                var changed = bytes
                changed[position] ^= 0xFF
                let image = try? ImageFile.decode(changed, name: name)
                // PNG has a checksum over every byte.
                #expect(image == nil || !name.hasSuffix("png"), "\(name) changed at \(position)")
            }
        }
    }

    @Test func messagesNameTheFileAndTheReason() {
        // The beginning of a PNG file of 8-bit gray; the side is that byte times 256.
        func header(side: UInt8) -> [UInt8] {
            [0x89] + "PNG\r\n".utf8 + [0x1A, 0x0A, 0, 0, 0, 13] + "IHDR".utf8 + [0, 0, side, 0, 0, 0, side, 0, 8, 0]
        }
        for (bytes, message) in [
            ([], "a.png: is empty"),
            (Array("GIF89a".utf8), "a.png: is neither a JPEG nor a PNG file"),
            (header(side: 80), "a.png: claims 20480x20480 pixels (limit 268435456)"),
            (header(side: 40), "a.png: claims 10240x10240 pixels, which 26 bytes cannot hold"),
        ] {
            let error = #expect(throws: FileError.self) { try ImageFile.decode(bytes, name: "a.png") }
            #expect(error?.description == message)
        }
    }

    @Test func encodedPicturesAreDecodedEqual() throws {
        let pixels = (0..<7 * 5 * 3).map { UInt8(truncatingIfNeeded: $0 * 37) }
        let image = RGBImage(width: 7, height: 5, pixels: pixels)
        let bytes = try ImageFile.encodePNG(image)
        #expect(try ImageFile.decode(bytes, name: "a.png") == image)
        #expect(try ImageFile.encodePNG(image) == bytes)
    }
}
