import Data
import Foundation
import TestSupport
import Testing

@Suite(.serialized) struct CompareTests {
    /// What a variant of a run of seconds has; each follows what an argument of `configuration` says.
    private static let variants = """
        variants:
          plain: {stage: plain}
          self-transcendence: {stage: selfguided, teacher: align, method: {teacherDepth: 2}}
          align: {stage: align}
        """

    /// A comparison of a tiny network on the embedded pictures, measured by the colours of their parts.
    private static func configuration(
        steps: Int = 24, seeds: String = "[0, 1]", variants: String = variants, evaluation: String = ""
    ) -> String {
        """
        base:
          preset: demo
          steps: \(steps)
          batch: 8
          network: {hidden: 16, depth: 2, heads: 2, patchSize: 6}
          method: {alignment: {headWidth: 16, studentDepth: 1}}
          schedule: {warmupSteps: 0}
          output: {sampleEvery: 0, logEvery: 1, checkpointEvery: 4}
        seeds: \(seeds)
        \(variants)
        evaluation:
          extractor: \(fixture("colours.pt"))
          reference: images
          count: 24
          every: 8
          sampler: {steps: 2, guidance: {scale: 1.5}}
          probes: {count: 40, times: [0.2, 0.6]}
        \(evaluation)
        """
    }

    private static func write(_ text: String, to folder: String) throws {
        try text.write(toFile: folder + "/compare.yaml", atomically: true, encoding: .utf8)
    }

    private let command = ["compare", "compare.yaml", "--out", "out"]

    @Test func whatIsStoppedAndKilledGoesOnToTheSameBytes() throws {
        try withTemporaryFolder { folder in
            try writeImages(24, in: folder)
            try Self.write(Self.configuration(seeds: "[4]"), to: folder)
            let whole = try transcend(["compare", "compare.yaml", "--out", "whole"], in: folder)
            #expect(whole.status == 0, "\(whole.errors)")
            // Behind the checkpoint at step 4 of the second run, then of the third.
            for (variant, signal) in [("align", SIGINT), ("self-transcendence", SIGKILL)] {
                let process = try program(command, in: folder)
                try process.run()
                waitForLines(6, in: "\(folder)/out/seed-4/\(variant)/metrics.jsonl", while: process)
                kill(process.processIdentifier, signal)
                process.waitUntilExit()
                guard signal == SIGINT else { continue }
                #expect(process.terminationStatus == 130)
                let said = try String(contentsOfFile: folder + "/.stderr", encoding: .utf8)
                #expect(said.contains("the same command continues from \(folder)/out/seed-4/align/"), "\(said)")
                // The page of what is done says what is missing.
                let page = try String(contentsOfFile: folder + "/out/compare.html", encoding: .utf8)
                #expect(page.contains("Still missing: seed-4/align, seed-4/self-transcendence."))
            }
            #expect(try transcend(command, in: folder).status == 0)
            for variant in ["plain", "align", "self-transcendence"] {
                let path = "seed-4/\(variant)/checkpoints/step-0000024"
                let expected = try files("\(folder)/whole/\(path)")
                // With the mark of a teacher.
                #expect(expected.count == (variant == "align" ? 5 : 4))
                #expect(try files("\(folder)/out/\(path)") == expected, "\(variant)")
            }
            // Steps of one learning rate belong together.
            try Self.write(Self.configuration(steps: 30, seeds: "[4]"), to: folder)
            let longer = try transcend(command, in: folder)
            #expect(longer.status == 2 && longer.errors.contains("this run has steps = 24, now it would be 30"))
        }
    }

    @Test func thePageHasEveryNumberAndNothingIsDoneTwice() throws {
        try withTemporaryFolder { folder in
            try writeImages(24, in: folder)
            try Self.write(Self.configuration(steps: 16), to: folder)
            let ended = try transcend(command, in: folder)
            #expect(ended.status == 0, "\(ended.errors)")
            #expect(ended.errors.contains("3 of 6: seed 0, self-transcendence\n"))
            #expect(ended.output.contains("Fréchet distance") && ended.output.hasSuffix("out/compare.html\n"))
            #expect(FileManager.default.fileExists(atPath: folder + "/out/distances.png"))

            let document = try #require(
                JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: folder + "/out/compare.json")))
                    as? [String: Any])
            #expect(document["baseline"] as? String == "plain" && (document["missing"] as? [String])?.isEmpty == true)
            let variants = try #require(document["variants"] as? [[String: Any]])
            #expect(variants.map { $0["name"] as? String } == ["plain", "self-transcendence", "align"])
            let last = try variants.map { try #require($0["last_step"] as? [String: [String: Any]]) }
            let distances = try last.map { try #require($0["frechet_distance"]?["mean"] as? Double) }
            let runs = try #require(variants[1]["runs"] as? [[String: Any]])
            #expect(runs.map { $0["seed"] as? Int } == [0, 1])
            let steps = try #require(runs[0]["steps"] as? [[String: Any]])
            #expect(steps.map { $0["step"] as? Int } == [8, 16])
            // Minutes are those of the teacher's 16 steps, and as many again for each 8 of its own.
            let minutes = steps.compactMap { $0["minutes"] as? Double }
            #expect(minutes.count == 2 && minutes[0] > (minutes[1] - minutes[0]))

            let page = try String(contentsOfFile: folder + "/out/compare.html", encoding: .utf8)
            for part in [
                "self-transcendence", "seeds 0, 1", "colours.pt crc32:", "Cost of training", "by minutes of training",
                "linear probes by block at t = 0.6", "method.teacherDepth", "the two seeds differ by up to",
                "samples of align", "where its teacher align is trained", #"path class="faint""#, "CPU",
                String(format: "<td>%#.4g</td>", distances[1]),
            ] {
                #expect(page.contains(part), "\(part)")
            }
            #expect(!page.contains("Still missing") && !page.contains("https://") && !page.contains("src=\"/"))
            #expect(page.components(separatedBy: "<section>").count == page.components(separatedBy: "</section>").count)

            let again = try transcend(command, in: folder)
            #expect(again.status == 0 && again.output == ended.output)
            for word in ["loss", "samples of step", "linear probes"] {
                #expect(!again.errors.contains(word), "\(again.errors)")
            }
            #expect(try String(contentsOfFile: folder + "/out/compare.html", encoding: .utf8) == page)

            let inspected = try transcend(["inspect", "out"], in: folder)
            #expect(
                inspected.output.contains("/out: a comparison, whose page") && inspected.output.contains("seed-1/align")
            )

            // A run is an ordinary one; one that the file does not name is not passed over.
            #expect(try transcend(["report", "out/seed-1/align"], in: folder).status == 0)
            try Self.write(Self.configuration(steps: 16, seeds: "[1]"), to: folder)
            let fewer = try transcend(command, in: folder)
            #expect(fewer.status == 2 && fewer.errors.contains("it holds seed-0/"), "\(fewer.errors)")
        }
    }

    @Test func aDryRunSaysWhatItWouldCost() throws {
        try withTemporaryFolder { folder in
            try Self.write(Self.configuration(steps: 20), to: folder)
            let ended = try transcend(["compare", "compare.yaml", "--dry-run"], in: folder)
            #expect(ended.status == 0 && ended.errors.isEmpty)
            #expect(
                ended.output.contains("6 runs of 20 steps of 8 images, in this order for each seed: plain, align, self")
            )
            #expect(ended.output.contains("3 checkpoints of each are measured, with 24 samples"))
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["compare.yaml"])
        }
    }

    @Test(arguments: [
        WrongUse(1, "nothing: cannot be opened", "compare nothing --out out"),
        WrongUse(2, "a path is empty", "compare '' --out out"),
        wrong(2, "--out: give the folder of the comparison", command: "compare compare.yaml"),
        wrong(
            2, "compare: it runs as one process", command: "compare compare.yaml --out out",
            through: ["env", "RANK=0", "WORLD_SIZE=2", "LOCAL_RANK=0", "LOCAL_WORLD_SIZE=2"]),
        wrong(1, "is neither empty nor a comparison; give another --out", command: "compare compare.yaml --out images"),
        wrong(1, "nothing.pt: cannot be opened") { $0.replacing(fixture("colours.pt"), with: "nothing.pt") },
        wrong(1, "nothing: cannot be opened") { $0.replacing("reference: images", with: "reference: nothing") },
        wrong(
            2, "compare.yaml: evaluation.labels: disk: the checkpoint has classes 0 to 9; did you mean disc?",
            evaluation: "  labels: [disk]"),
        wrong(2, "pictures holds no features of encoders; give files of encoders") {
            $0.replacing("  align: {stage: align", with: "  encoded: {stage: repa}\n  align: {stage: align")
        },
        wrong(2, "algin is no variant and holds no checkpoint; did you mean align?") {
            $0.replacing("teacher: align", with: "teacher: algin")
        },
        wrong(2, "evaluation.reference: give the images of which") {
            latents($0).replacing("  reference: images\n", with: "")
        },
        wrong(2, "base.preview.autoencoder: give the one of which") { latents($0) },
    ])
    func wrongUses(use: WrongUse) throws { try use.check() }

    /// The configuration with latents as its data.
    private static func latents(_ text: String) -> String {
        text.replacing("  batch: 8", with: "  data: {source: \(repository.path)/Tests/Golden/vae-sd}\n  batch: 8")
            .replacing("patchSize: 6", with: "patchSize: 1")
    }

    /// A wrong use of a configuration that is right but for what `change` makes of it.
    private static func wrong(
        _ status: Int32, _ message: String, command: String = "compare compare.yaml --out out", evaluation: String = "",
        through launcher: [String] = [], change: @escaping @Sendable (String) -> String = { $0 }
    ) -> WrongUse {
        WrongUse(status, message, command, with: "images", through: launcher) { folder in
            try write(change(configuration(evaluation: evaluation)), to: folder)
        }
    }
}
