import Data
import Foundation
import TestSupport
import Testing

@Suite struct PrepareTests {
    /// Embedded pictures as files of two classes.
    private func images(_ count: Int, in folder: String) throws {
        let pictures = Pictures(side: 28)
        for index in 0..<count {
            let path = "\(folder)/images/\(index % 2)"
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            try ImageFile.writePNG(pictures.image(index), to: "\(path)/\(1000 + index).png")
        }
    }

    private func arguments(_ out: String) -> [String] {
        [
            "prepare", "--data", "images", "--mode", "pixels", "--resolution", "24", "--shard-images", "32", "--out",
            out,
        ]
    }

    private func files(_ folder: String) throws -> [String: Data] {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        return try Dictionary(
            uniqueKeysWithValues: names.map {
                ($0, try Data(contentsOf: URL(fileURLWithPath: folder + "/" + $0)))
            })
    }

    @Test func aKilledPreparationGoesOnAndHasTheSameBytes() throws {
        try withTemporaryFolder { folder in
            try images(600, in: folder)
            #expect(try transcend(arguments("whole"), in: folder).status == 0)
            var kills = 0
            // Waits grow, so that every stretch of the work is hit, and the work comes to its end.
            for milliseconds in stride(from: 10, to: 2000, by: 40) {
                let process = try program(arguments("parts"), in: folder)
                try process.run()
                usleep(UInt32(1000 * milliseconds))
                guard process.isRunning else { break }
                kill(process.processIdentifier, SIGKILL)
                process.waitUntilExit()
                kills += 1
            }
            #expect(kills > 0)
            #expect(try transcend(arguments("parts"), in: folder).status == 0)
            #expect(try files(folder + "/parts") == files(folder + "/whole"))
        }
    }

    @Test func aStoreIsTrainedOnInspectedAndVerified() throws {
        try withTemporaryFolder { folder in
            try images(20, in: folder)
            let made = try transcend(arguments("store"), in: folder)
            #expect(made.status == 0 && made.output.contains("20 in 2 classes"))
            #expect(try transcend(["inspect", "store"], in: folder).output == made.output)
            let trained = try transcend(
                ["pipeline", "--data", "store", "--out", "run", "--steps", "2"] + tiny, in: folder)
            #expect(trained.status == 0, "\(trained.errors)")

            #expect(try transcend(["prepare", "--verify", "--out", "store"], in: folder).status == 0)
            let shard = folder + "/store/shard-00000.safetensors"
            var bytes = try Data(contentsOf: URL(fileURLWithPath: shard))
            bytes[bytes.count / 2] ^= 1
            try bytes.write(to: URL(fileURLWithPath: shard))
            let verified = try transcend(["prepare", "--verify", "--out", "store"], in: folder)
            #expect(verified.status == 1)
            #expect(verified.output.contains("shard-00000.safetensors: is damaged (wrong checksum)"))
            try bytes.dropLast().write(to: URL(fileURLWithPath: shard))
            let cut = try transcend(["inspect", "store"], in: folder)
            #expect(cut.status == 1 && cut.errors.contains("bytes where the manifest says"))
        }
    }

    @Test(
        arguments: [
            (["prepare", "--out", "s"], 2, "--data: give the images to prepare"),
            (["prepare", "--data", "nothing", "--out", "s"], 1, "nothing: cannot be opened"),
            (["prepare", "--data", "x", "--verify", "--out", "s"], 2, "--verify: reads the store --out"),
            (["prepare", "--verify", "--out", "s"], 1, "manifest.json: cannot be opened"),
            (["prepare", "--data", "x", "--resolution", "2", "--out", "s"], 2, "--resolution 2: give 8 to 4096"),
            (["prepare", "--data", "x", "--shard-images", "0", "--out", "s"], 2, "--shard-images 0"),
            (["prepare", "--data", "x", "--type", "f8", "--out", "s"], 2, "--type f8: give f16 or f32"),
        ] as [([String], Int32, String)])
    func wrongUsesAreNamed(arguments: [String], status: Int32, message: String) throws {
        try withTemporaryFolder { folder in
            let ended = try transcend(arguments, in: folder)
            #expect(ended.status == status)
            #expect(ended.errorLines.count == 1 && ended.errors.contains(message), "\(ended.errors)")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
        }
    }
}
