import Data
import Foundation
import TestSupport
import Testing

/// Several processes that train, sample and prepare together over Gloo.
extension RanksTests {
    @Suite struct Agreement {
        @Test(
            arguments: [
                ("plain", ["--set", "data.flips=true"]), ("align", []),
                ("align", ["--set", "method.alignment.semantics=batch-mean"]),
                ("align", ["--precision", "bf16", "--set", "recompute=true"]),
            ] as [(String, [String])])
        func twoRanksHaveTheBitsOfTwoMicroBatches(stage: String, settings: [String]) throws {
            try withTemporaryFolder { folder in
                let flags = train(stage, steps: 4) + settings
                try run(flags + ["--out", folder + "/one", "--accumulation", "2"], in: folder)
                let ranks = try Ranks(2, flags + ["--out", folder + "/two"], in: folder)
                #expect(ranks.end().map(\.status) == [0, 0])
                for file in tensorFiles {
                    let path = "/checkpoints/step-0000004/" + file
                    #expect(try bytes(folder + "/one" + path) == bytes(folder + "/two" + path), "\(file)")
                }
                #expect(try losses(folder + "/one") == losses(folder + "/two"))
            }
        }

        @Test func anySplitHasTheSameLossesAlsoWhenItChanges() throws {
            try withTemporaryFolder { folder in
                let flags = train("align", steps: 6)
                try run(flags + ["--out", folder + "/one"], in: folder)
                let expected = try losses(folder + "/one")
                // Four processes make half of it, then one or two with their state spread the rest.
                let begun = try Ranks(
                    4, train("align", steps: 3) + ["--out", folder + "/four", "--set", "distributed.spreadState=true"],
                    in: folder)
                #expect(begun.end().map(\.status) == [0, 0, 0, 0])
                let names = try FileManager.default.contentsOfDirectory(
                    atPath: folder + "/four/checkpoints/step-0000003")
                #expect(names.contains("ema-00004-of-00004.safetensors"))
                try FileManager.default.copyItem(atPath: folder + "/four", toPath: folder + "/again")
                try run(flags + ["--out", folder + "/four"], in: folder)
                let two = try Ranks(
                    2, flags + ["--out", folder + "/again", "--set", "distributed.spreadState=true"], in: folder)
                #expect(two.end().map(\.status) == [0, 0])
                for run in ["four", "again"] {
                    for (a, b) in zip(expected, try losses("\(folder)/\(run)")) { #expect(abs(a - b) <= 1e-5) }
                }
            }
        }

        @Test func spreadStateChangesNoBitAndIsReadByOneProcess() throws {
            try withTemporaryFolder { folder in
                let flags = train("align", steps: 4) + preview
                for (name, spread) in [("whole", "false"), ("spread", "true")] {
                    let more = ["--out", "\(folder)/\(name)", "--set", "distributed.spreadState=\(spread)"]
                    #expect(try Ranks(2, flags + more, in: folder).end().map(\.status) == [0, 0])
                }
                for file in ["/checkpoints/step-0000004/model.safetensors", "/samples/step-0000004.png"] {
                    #expect(try bytes(folder + "/whole" + file) == bytes(folder + "/spread" + file), "\(file)")
                }
                for name in ["whole", "spread"] {
                    try run(
                        ["export", "--checkpoint", "\(folder)/\(name)", "--out", "\(folder)/\(name).pt"], in: folder)
                }
                #expect(try bytes(folder + "/whole.pt") == bytes(folder + "/spread.pt"))
            }
        }

        @Test func aPipelineRunsOnTwoRanks() throws {
            try withTemporaryFolder { folder in
                let flags = ["pipeline", "--steps", "4"] + tiny + preview
                try run(flags + ["--out", folder + "/one", "--accumulation", "2"], in: folder)
                let ranks = try Ranks(2, flags + ["--out", folder + "/two"], in: folder).end()
                #expect(ranks.map(\.status) == [0, 0])
                // One process speaks for all.
                #expect(ranks[1].errors.isEmpty && ranks[1].output.isEmpty)
                for file in tensorFiles.map({ "checkpoints/step-0000004/" + $0 }) + ["samples/step-0000004.png"] {
                    let path = "/selfguided/" + file
                    #expect(try bytes(folder + "/one" + path) == bytes(folder + "/two" + path), "\(file)")
                }
            }
        }

        @Test func samplesStoresAndNumbersAreThoseOfOneProcess() throws {
            try withTemporaryFolder { folder in
                try run(train("plain", steps: 2) + ["--out", folder + "/run"], in: folder)
                try writeImages(20, in: folder)
                func sample(_ out: String) -> [String] {
                    [
                        "sample", "--checkpoint", folder + "/run", "--count", "150", "--labels", "random", "--steps",
                        "2",
                        "--out", "\(folder)/\(out).npz",
                    ]
                }
                func prepare(_ out: String) -> [String] {
                    [
                        "prepare", "--data", folder + "/images", "--resolution", "24", "--shard-images", "6", "--out",
                        "\(folder)/\(out)",
                    ]
                }
                try run(sample("one"), in: folder)
                try run(prepare("store-one"), in: folder)
                #expect(try Ranks(3, sample("three"), in: folder).end().map(\.status) == [0, 0, 0])
                #expect(try Ranks(3, prepare("store-three"), in: folder).end().map(\.status) == [0, 0, 0])
                #expect(try bytes(folder + "/one.npz") == bytes(folder + "/three.npz"))
                #expect(try files(folder + "/store-one") == files(folder + "/store-three"))

                // 150 samples of a checkpoint, and files, against the run's own images: batches that do not divide by ranks.
                let extractor = ["--extractor", fixture("colours.pt"), "--json"]
                for samples in [
                    ["--samples", folder + "/run", "--count", "150", "--steps", "2"],
                    ["--samples", folder + "/one.npz", "--reference", folder + "/store-one"],
                ] {
                    let one = try transcend(["evaluate"] + samples + extractor, in: folder)
                    #expect(one.status == 0 && one.output.contains("frechet_distance"), "\(one.errors)")
                    // A kept result would be read again, as the second time it is.
                    try? FileManager.default.removeItem(atPath: folder + "/run/evaluations")
                    for _ in 0..<2 {
                        let three = try Ranks(3, ["evaluate"] + samples + extractor, in: folder).end()
                        #expect(three.map(\.status) == [0, 0, 0], "\(three.map(\.errors))")
                        #expect(three.map(\.output) == [one.output, "", ""])
                    }
                }
            }
        }

        @Test func aDryRunSaysWhatEachRankWouldDo() throws {
            try withTemporaryFolder { folder in
                let flags = train("plain", steps: 4) + ["--dry-run"]
                let first = try transcend(flags, in: folder, environment: Ranks.environment(0, of: 4))
                #expect(first.status == 0 && first.output.contains("3   cpu      6 to 7"), "\(first.output)")
                // By hand, as README.md has it.
                let eight = try transcend(
                    flags, in: folder, environment: ["WORLD_SIZE": "8", "RANK": "0", "LOCAL_WORLD_SIZE": "8"])
                #expect(eight.status == 0 && eight.output.contains("7   cpu      7 to 7"), "\(eight.errors)")
                let other = try transcend(flags, in: folder, environment: Ranks.environment(1, of: 4))
                #expect(other.status == 0 && other.output.isEmpty)
            }
        }

        // MARK: -

        /// Flags for a small sample grid at step 4.
        private let preview = [
            "output.sampleEvery=4", "preview.classes=1", "preview.perClass=1", "preview.sampler.steps=2",
        ].flatMap { ["--set", $0] }

        private func losses(_ run: String) throws -> [Double] {
            try String(contentsOfFile: run + "/metrics.jsonl", encoding: .utf8).split(separator: "\n").map { line in
                let row = try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
                return try #require(row["denoisingLoss"] as? Double)
            }
        }
    }
}
