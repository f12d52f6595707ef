import Foundation
import TestSupport
import Testing

/// The program reads images that cannot be used.
@Suite struct BadImagesTests {
    // MARK: - Memory

    @Test func whatAHeaderClaimsIsNotAllocated() throws {
        let images = try TemporaryFolder()
        // 16384 x 16384 pixels, the most that is decoded: 805 MB, for CMYK 1.1 GB.
        let size: [UInt8] = [0x40, 0, 0x40, 0]
        let ihdr: [UInt8] = [0, 0, 0, 13] + "IHDR".utf8 + [0, 0, 0x40, 0, 0, 0, 0x40, 0, 8, 2, 0, 0, 0]
        let jpeg: [UInt8] = [0xFF, 0xD8, 0xFF, 0xC0]
        try images.file("rgb.png", [0x89] + "PNG\r\n".utf8 + [0x1A, 0x0A] + ihdr + [UInt8](repeating: 0, count: 999))
        let rgb = [0, 17, 8] + size + [3, 1, 17, 0, 2, 17, 0, 3, 17, 0]
        try images.file("rgb.jpg", jpeg + rgb + [0xFF, 0xDA, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, 63, 0])
        let cmyk = [0, 20, 8] + size + [4, 1, 17, 0, 2, 17, 0, 3, 17, 0, 4, 17, 0]
        try images.file("cmyk.jpg", jpeg + cmyk + [0xFF, 0xDA, 0, 14, 4, 1, 0, 2, 0, 3, 0, 4, 0, 0, 63, 0])

        // Far less than one such picture, more than the threads of many cores need.
        let limit = try leastMegabytes() + 400
        let ended = try limited(["inspect", "--check-images", images.path], megabytes: limit)
        #expect(ended.status == 0, "\(ended.errors)")
        #expect(ended.output.contains("3 of 3 images cannot be read"))
        #expect(ended.output.components(separatedBy: "claims 16384x16384 pixels, which ").count == 4)

        let odd = repository.path + "/Tests/DataTests/Fixtures/odd-images.zip"
        let others = try limited(["inspect", "--check-images", odd], megabytes: limit)
        #expect(others.status == 0 && others.output.contains("16 of 51 images cannot be read"), "\(others.errors)")
        #expect(others.output.contains("bad/huge-header.jpg: claims 60000x60000 pixels (limit 268435456)"))
    }

    /// The address space in which the program starts at all: most of it is libtorch.
    private func leastMegabytes() throws -> Int {
        var (low, high) = (64, 8192)
        while high - low > 32 {
            let middle = (low + high) / 2
            if try limited(["--version"], megabytes: middle).status == 0 { high = middle } else { low = middle }
        }
        return high
    }

    /// Runs the program with so much address space.
    private func limited(_ arguments: [String], megabytes: Int) throws -> Ended {
        try withTemporaryFolder { folder in
            try transcend(arguments, in: folder) { process in
                let program = try #require(process.executableURL)
                process.executableURL = URL(fileURLWithPath: "/bin/sh")
                process.arguments =
                    ["-c", "ulimit -v \(megabytes << 10); exec \"$0\" \"$@\"", program.path] + arguments
                // Else each thread reserves 64 MB of addresses.
                process.environment = ["MALLOC_ARENA_MAX": "1"]
            }
        }
    }

    // MARK: - Training

    private func damage(_ name: String, in folder: String) throws {
        try Data("no picture".utf8).write(to: URL(fileURLWithPath: "\(folder)/images/\(name).png"))
    }

    @Test func badImagesAreLeftOutOnRequestAndListed() throws {
        try withTemporaryFolder { folder in
            try writeImages(6, side: 24, in: folder)
            try damage("0/1002", in: folder)
            let flags = ["train", "--stage", "align", "--data", "images"] + alignTiny
            try damage("0/\u{1B}[31mred", in: folder)
            try damage("1/a.webp", in: folder)
            try FileManager.default.moveItem(
                atPath: folder + "/images/1/a.webp.png", toPath: folder + "/images/1/a.webp")
            let checked = try transcend(["inspect", "--check-images", "images"], in: folder)
            #expect(
                checked.output.contains("\n0/\\x1b[31mred.png: is neither a JPEG nor a PNG file"), "\(checked.output)")
            #expect(checked.output.contains("passed over, since JPEG and PNG alone are read: 1/a.webp"))
            try FileManager.default.removeItem(atPath: folder + "/images/0/\u{1B}[31mred.png")
            let stopped = try transcend(flags + ["--out", "none", "--steps", "4"], in: folder)
            #expect(stopped.status == 1 && stopped.errorLines.count == 1)
            #expect(
                stopped.errors.contains(
                    "images/0/1002.png: is neither a JPEG nor a PNG file; repair or remove it, or leave out such images "
                        + "(--skip-bad-images)"))

            let skipping = flags + ["--skip-bad-images", "--out", "run"]
            let ended = try transcend(skipping + ["--steps", "4"], in: folder)
            let note = "skipped 1 of 6 images: 0/1002.png (is neither a JPEG nor a PNG file); all are in "
            #expect(ended.status == 0 && ended.errors.contains(note), "\(ended.errors)")
            #expect(ended.errors.contains("warning: align: passed over, since JPEG and PNG alone are read: 1/a.webp\n"))
            let list = try String(contentsOfFile: folder + "/run/skipped-images.txt", encoding: .utf8)
            #expect(list == "0/1002.png\tis neither a JPEG nor a PNG file\n")

            // A run goes on with the images that it began with, even if as many are bad as before.
            try writeImages(6, side: 24, in: folder)
            try damage("1/1003", in: folder)
            let other = try transcend(skipping + ["--steps", "6"], in: folder)
            #expect(other.status == 2 && other.errorLines.count == 1, "\(other.errors)")
            #expect(other.errors.contains("give the same data or another --out"))
        }
    }
}
