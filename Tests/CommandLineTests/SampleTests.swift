import Foundation
import TestSupport
import Testing

/// Samples in numbers: continued after a kill, stamped, the same in every form.
@Suite(.serialized) struct SampleTests {
    private func sample(_ out: [String], _ more: [String] = []) -> [String] {
        [
            "sample", "--checkpoint", "run", "--steps", "4", "--count", "200", "--labels", "balanced", "--out",
        ] + out + more
    }

    private func withRun(_ body: (_ folder: String) throws -> Void) throws {
        try withTemporaryFolder { folder in
            let train = ["train", "--stage", "plain", "--out", "run", "--steps", "2"] + plainTiny
            #expect(try transcend(train, in: folder).status == 0)
            try body(folder)
        }
    }

    /// Kills the program when it has recorded some of the samples; false where it was too late.
    private func killAmong(_ arguments: [String], in folder: String, once record: String) throws -> Bool {
        let process = try program(arguments, in: folder)
        try process.run()
        while process.isRunning, !FileManager.default.fileExists(atPath: folder + "/" + record) { usleep(500) }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        return process.terminationReason == .uncaughtSignal
    }

    @Test func samplesThatWereKilledEqualThoseThatWereNot() throws {
        try withRun { folder in
            #expect(try transcend(sample(["whole.npz", "whole"]), in: folder).status == 0)
            let pictures = try files(folder + "/whole")
            #expect(pictures.count == 201 && pictures["protocol.json"] != nil)

            let wasKilled = try killAmong(sample(["array.npz"]), in: folder, once: ".array.npz.unfinished.json")
            #expect(wasKilled && !FileManager.default.fileExists(atPath: folder + "/array.npz"))
            let other = try transcend(sample(["array.npz"], ["--seed", "1"]), in: folder)
            #expect(other.status == 1 && other.errors.contains("belongs to samples of other settings"))
            #expect(try transcend(sample(["array.npz"]), in: folder).status == 0)
            let all = try files(folder)
            #expect(all["array.npz"] == all["whole.npz"] && all["array.json"] == all["whole.json"])
            #expect(!all.keys.contains { $0.contains("unfinished") })

            #expect(try killAmong(sample(["many"]), in: folder, once: "many/000064.png"))
            #expect(try transcend(sample(["many"]), in: folder).status == 0)
            #expect(try files(folder + "/many") == pictures)
            // The first pictures are known as the job's from the beginning.
            #expect(try killAmong(sample(["early"]), in: folder, once: "early/000003.png"))
            #expect(try transcend(sample(["early"]), in: folder).status == 0)
            #expect(try files(folder + "/early") == pictures)
            // A picture that is lost is drawn again.
            try FileManager.default.removeItem(atPath: folder + "/early/000070.png")
            #expect(try transcend(sample(["early"]), in: folder).status == 0)
            #expect(try files(folder + "/early") == pictures)
            // So is an array that only its stamp is left of.
            try FileManager.default.removeItem(atPath: folder + "/array.npz")
            #expect(try transcend(sample(["array.npz"]), in: folder).status == 0)
            #expect(try files(folder)["array.npz"] == all["whole.npz"])
            // What is complete stays as it is.
            let again = try transcend(sample(["many", "array.npz"]), in: folder)
            #expect(again.status == 0 && !again.errors.contains("sample"))
        }
    }

    @Test func aFileThatIsNoStampIsNotOverwritten() throws {
        try withRun { folder in
            let own = Data("{\"mine\": 1}".utf8)
            try own.write(to: URL(fileURLWithPath: folder + "/mine.json"))
            let few = ["--count", "2", "--labels", "0", "--steps", "2"]
            let ended = try transcend(["sample", "--checkpoint", "run", "--out", "mine.npz"] + few, in: folder)
            #expect(ended.status == 1 && ended.errors.contains("mine.json: is no stamp of samples; move it"))
            #expect(FileManager.default.contents(atPath: folder + "/mine.json") == own)
            #expect(
                try transcend(["sample", "--checkpoint", "run", "--out", "LARGE.NPZ"] + few, in: folder).status == 0)
            #expect(FileManager.default.fileExists(atPath: folder + "/LARGE.json"))
        }
    }

    /// A result belongs to what it was measured against, not to its path; one that cannot be kept is told all the same.
    @Test func anotherReferenceOfTheSameNameIsMeasuredAgainst() throws {
        try withRun { folder in
            let network = ["--extractor", fixture("colours.pt")]
            let measure = ["evaluate", "--samples", "run", "--json", "--steps", "2", "--count", "8"] + network
            func distance(_ arguments: [String]) throws -> Double {
                let ended = try transcend(arguments, in: folder)
                let result = try JSONSerialization.jsonObject(with: Data(ended.output.utf8)) as? [String: Any]
                return try #require(result?["frechet_distance"] as? Double, "\(ended.errors)")
            }
            func makeReference(_ seed: Int) throws {
                let draw = ["sample", "--checkpoint", "run", "--out", "\(seed).npz", "--count", "16", "--steps", "2"]
                #expect(try transcend(draw + ["--seed", "\(seed)"], in: folder).status == 0)
                let make = ["evaluate", "--samples", "\(seed).npz", "--make-reference", "own.npz"] + network
                #expect(try transcend(make, in: folder).status == 0)
            }
            try makeReference(1)
            let first = try distance(measure + ["--reference", "own.npz"])
            #expect(try distance(measure + ["--reference", "own.npz"]) == first)
            try makeReference(2)
            #expect(try distance(measure + ["--reference", "own.npz"]) != first)

            let kept = folder + "/run/evaluations"
            try FileManager.default.removeItem(atPath: kept)
            try Data().write(to: URL(fileURLWithPath: kept))
            let ended = try transcend(measure + ["--reference", "own.npz"], in: folder)
            #expect(ended.status == 0 && ended.errors.contains("warning: the result is not kept:"), "\(ended.errors)")
            #expect(ended.output.contains("frechet_distance"))
        }
    }

    @Test func curvesOfOtherDataAreNotDrawnTogether() throws {
        try withRun { folder in
            let larger = ["train", "--stage", "plain", "--out", "larger", "--steps", "2"] + plainTiny
            #expect(try transcend(larger + ["--resolution", "30"], in: folder).status == 0)
            let curve = ["curve", "run", "larger", "--out", "curve.png", "--extractor", fixture("colours.pt")]
            let ended = try transcend(curve, in: folder)
            #expect(ended.status == 2 && ended.errors.contains("give the --reference against which all are measured"))
        }
    }

    @Test func anUnfinishedArrayThatIsDamagedIsRefused() throws {
        try withRun { folder in
            #expect(try killAmong(sample(["array.npz"]), in: folder, once: ".array.npz.unfinished.json"))
            let path = folder + "/.array.npz.unfinished"
            var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            bytes[5000] ^= 1
            try bytes.write(to: URL(fileURLWithPath: path))
            let ended = try transcend(sample(["array.npz"]), in: folder)
            #expect(ended.status == 1 && ended.errors.contains(".array.npz.unfinished: is damaged"), "\(ended.errors)")
            #expect(FileManager.default.fileExists(atPath: path))
        }
    }

    @Test func aCheckpointIsEvaluatedOnceAndCurvesUseWhatIsThere() throws {
        try withRun { folder in
            let measure = ["--extractor", fixture("colours.pt"), "--steps", "4", "--count", "70"]
            let drawn = try transcend(["evaluate", "--samples", "run", "--json"] + measure, in: folder)
            #expect(drawn.status == 0 && drawn.errors.contains("of 70 pictures"), "\(drawn.errors)")
            let kept = try files(folder + "/run/evaluations")
            #expect(kept.count == 1)

            // The same samples as a folder, measured against the embedded pictures as a store would be, have the same numbers.
            let sample = ["sample", "--checkpoint", "run", "--steps", "4", "--count", "70", "--labels", "random"]
            #expect(try transcend(sample + ["--out", "samples.npz"], in: folder).status == 0)
            let reference = ["evaluate", "--samples", "samples.npz", "--extractor", fixture("colours.pt")]
            let made = try transcend(reference + ["--make-reference", "own.npz"], in: folder)
            #expect(made.status == 0, "\(made.errors)")
            let own = ["--reference", "own.npz"] + measure
            let same = try transcend(["evaluate", "--samples", "run", "--json"] + own, in: folder)
            let distance = try #require(JSONSerialization.jsonObject(with: Data(same.output.utf8)) as? [String: Any])
            #expect(try abs(#require(distance["frechet_distance"] as? Double)) < 1e-9)
            #expect(distance["precision"] as? Double == 1)
            let stamp = try #require(distance["protocol"] as? [String: Any])
            #expect(stamp["samples"] as? Int == 70 && stamp["labels"] as? String == "random")

            let curve = try transcend(["curve", "run", "--out", "curve.png"] + measure, in: folder)
            #expect(curve.status == 0, "\(curve.errors)")
            #expect(!curve.errors.contains("samples of step"), "nothing is measured twice: \(curve.errors)")
            #expect(curve.output.contains("Fréchet distance") && curve.output.contains("curve.png"))
            #expect(try files(folder + "/run/evaluations").count == 2)
        }
    }

    /// Sheets, probes and the page about a run.
    @Test func whatALookFindsIsInTheReport() throws {
        try withRun { folder in
            let features = ["features", "run", "--kinds", "conditional", "guided", "--times", "0.2", "0.6"]
            #expect(try transcend(features, in: folder).status == 0)
            let wrong = try transcend(features + ["--blocks", "3"], in: folder)
            #expect(wrong.status == 2 && wrong.errors.contains("--blocks 3: the network has blocks 1 to 2"))
            let image = try transcend(["features", "run", "--images", "20000"], in: folder)
            #expect(image.status == 2 && image.errors.contains("the data have images 0 to 19999"))
            let probe = try transcend(["probe", "run", "--count", "200", "--times", "0.1", "--json"], in: folder)
            let found = try #require(JSONSerialization.jsonObject(with: Data(probe.output.utf8)) as? [String: Any])
            #expect(found["images_fitted"] as? Int == 160 && (found["accuracies"] as? [[Double]])?[0].count == 2)
            let measure = ["--extractor", fixture("colours.pt"), "--steps", "4", "--count", "70"]
            #expect(try transcend(["evaluate", "--samples", "run"] + measure, in: folder).status == 0)

            let ended = try transcend(["report", "run"], in: folder)
            #expect(ended.status == 0 && ended.output.hasSuffix("run/report.html\n"), "\(ended.errors)")
            let page = try String(contentsOfFile: folder + "/run/report.html", encoding: .utf8)
            for part in [
                "denoising loss", "Evaluation", "colours.pt crc32:", "Features", "Linear probes", "data.source", "CPU",
            ] {
                #expect(page.contains(part), "\(part)")
            }
            // Nothing is loaded from elsewhere.
            #expect(!page.contains("http://") && !page.contains("https://") && !page.contains("src=\"/"))
            #expect(page.components(separatedBy: "<section>").count == page.components(separatedBy: "</section>").count)
        }
    }

    @Test func anExtractorIsFittedAndTellsTheClasses() throws {
        try withRun { folder in
            let fit = ["fit-extractor", "--data", "pictures", "--steps", "10", "--out", "own.pt"]
            let fitted = try transcend(fit, in: folder)
            #expect(fitted.status == 0 && fitted.output.contains("of 2000 images that were held out of 20000"))
            let measure = ["--extractor", "own.pt", "--steps", "2", "--count", "70", "--labels", "balanced", "--brief"]
            let ended = try transcend(["evaluate", "--samples", "run"] + measure, in: folder)
            #expect(ended.status == 0, "\(ended.errors)")
            let line = ended.output.split(separator: "\n")
            #expect(line.count == 1 && line[0].contains("Fréchet distance") && line[0].contains("of 10 classes"))
        }
    }
}
