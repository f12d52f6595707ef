import Data
import Foundation
import TestSupport
import Testing

/// Processes that would not do the same.
extension RanksTests {
    @Suite struct Differences {
        @Test func ranksThatDifferOrDoNotComeDoNotBegin() throws {
            try withTemporaryFolder { folder in
                let flags = train("plain", steps: 4) + ["--out", folder + "/run"]
                let differing = try Ranks(2, flags, in: folder) { $0 == 1 ? ["--learning-rate", "0.5"] : [] }
                expectRefusal(differing, 2, "rank 1 of 2 differs from rank 0: schedule.learningRate is 0.5 there")
                let alone = try transcend(
                    flags + ["--set", "distributed.timeoutSeconds=1"], in: folder,
                    environment: Ranks.environment(0, of: 2))
                #expect(alone.status == 2 && alone.errors.contains("no sign of rank 1"), "\(alone.errors)")
                expectRefusal(try Ranks(3, flags, in: folder), 2, "the batch 8 is not divisible among 3")
                let missing = try transcend(flags, in: folder, environment: ["RANK": "0"])
                #expect(missing.status == 2 && missing.errors.contains("RANK is set and WORLD_SIZE is missing"))
            }
        }

        @Test func anotherProgramIsNoticed() throws {
            try withTemporaryFolder { folder in
                let flags = train("plain", steps: 4) + ["--out", folder + "/run"]
                let ranks = try Ranks(
                    2, flags, in: folder,
                    change: { rank, process in
                        guard rank == 1, let program = process.executableURL else { return }
                        // A byte behind all that is loaded.
                        try (Data(contentsOf: program) + [0]).write(to: URL(fileURLWithPath: folder + "/transcend"))
                        chmod(folder + "/transcend", 0o755)
                        process.executableURL = URL(fileURLWithPath: folder + "/transcend")
                    })
                expectRefusal(ranks, 2, "rank 1 of 2 differs from rank 0: the program is crc32:")
            }
        }

        /// As on hosts whose folders are not shared: checkpoints of one name that differ in their last bits.
        @Test func anotherCheckpointIsNoticed() throws {
            try withTemporaryFolder { folder in
                try run(train("plain", steps: 2) + ["--out", folder + "/0"], in: folder)
                try run(train("plain", steps: 2) + ["--out", folder + "/1", "--accumulation", "2"], in: folder)
                let ranks = try Ranks(
                    2, train("plain", steps: 4), in: folder, more: { ["--out", "\(folder)/\($0)"] })
                expectRefusal(
                    ranks, 2, "rank 1 of 2 differs from rank 0: the newest checkpoint is step-0000002 with crc32:")
            }
        }

        @Test func picturesOfTwoSizesAreNoticedWhereEachRankSeesOne() throws {
            try withTemporaryFolder { folder in
                try writeImages(100, in: folder)
                try FileManager.default.createDirectory(atPath: folder + "/images/2", withIntermediateDirectories: true)
                for index in 0..<4 {
                    try ImageFile.writePNG(Pictures(side: 24).image(index), to: "\(folder)/images/2/\(index).png")
                }
                let flags = [
                    "evaluate", "--samples", folder + "/images", "--reference", folder + "/images", "--extractor",
                    fixture("colours.pt"),
                ]
                expectRefusal(
                    try Ranks(2, flags, in: folder), 1, "holds pictures of 28 x 28 and of 24 x 24 pixels")
            }
        }

        /// Waits for all of them; each has to end with that status and message.
        private func expectRefusal(_ ranks: Ranks, _ status: Int32, _ message: String) {
            let ended = ranks.end()
            #expect(
                ended.allSatisfy { $0.status == status && $0.errors.contains(message) },
                "\(ended.map { "\($0.status) \($0.errors)" })")
        }
    }
}
