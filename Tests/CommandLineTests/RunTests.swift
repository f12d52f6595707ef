import Foundation
import TestSupport
import Testing

@Suite(.serialized) struct RunTests {
    @Test func aKilledPipelineContinuesToTheSameBytes() throws {
        try withTemporaryFolder { folder in
            let flags = tiny + ["--steps", "12", "--checkpoint-every", "4"]
            #expect(try transcend(["pipeline", "--out", "whole"] + flags, in: folder).status == 0)
            for stage in ["align", "selfguided"] {
                // Killed between the checkpoints at steps 4 and 8 of each stage.
                let process = try program(["pipeline", "--out", "killed"] + flags, in: folder)
                try process.run()
                waitForLines(7, in: "\(folder)/killed/\(stage)/metrics.jsonl", while: process)
                kill(process.processIdentifier, SIGKILL)
                process.waitUntilExit()
            }
            #expect(try transcend(["pipeline", "--out", "killed"] + flags, in: folder).status == 0)
            for stage in ["align", "selfguided"] {
                for file in ["model", "ema", "optimizer"].map({ $0 + ".safetensors" }) + ["state.json"] {
                    let path = "\(stage)/checkpoints/step-0000012/\(file)"
                    let expected = try #require(FileManager.default.contents(atPath: "\(folder)/whole/\(path)"))
                    #expect(FileManager.default.contents(atPath: "\(folder)/killed/\(path)") == expected, "\(path)")
                }
            }
        }
    }

    @Test func aRunOfAnotherProcessIsWatched() throws {
        try withTemporaryFolder { folder in
            try FileManager.default.createDirectory(atPath: folder + "/watch", withIntermediateDirectories: true)
            func watch() throws -> String {
                let ended = try transcend(["watch", "../run"], in: folder + "/watch")
                #expect(ended.status == 0 && ended.errors.isEmpty, "\(ended.errors)")
                return ended.output
            }
            let process = try program(["pipeline", "--out", "run", "--steps", "100000"] + tiny, in: folder)
            try process.run()
            waitForLines(3, in: folder + "/run/align/metrics.jsonl", while: process)
            #expect(try watch().contains("running, process \(process.processIdentifier), last numbers 0:0"))
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            let output = try watch()
            #expect(output.contains("not running here") && output.contains("align 1/2  ") && output.contains("/100000"))
            #expect(output.contains("loss  ") && !output.contains("\u{1B}"))
        }
    }

    @Test func threeHundredStepsKeepMemoryAndTensors() throws {
        try withTemporaryFolder { folder in
            let ended = try transcend(
                ["train", "--stage", "plain", "--out", "run", "--steps", "301", "--checkpoint-every", "1000"]
                    + plainTiny,
                in: folder)
            #expect(ended.status == 0, "\(ended.errors)")
            let text = try String(contentsOfFile: folder + "/run/metrics.jsonl", encoding: .utf8)
            let rows = try text.split(separator: "\n").map {
                try #require(JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
            }
            func value(_ key: String, at step: Int) throws -> Double { try #require(rows[step][key] as? Double) }
            #expect(try value("liveTensors", at: 300) == value("liveTensors", at: 20))
            #expect(try value("residentBytes", at: 300) - value("residentBytes", at: 20) < 20e6)
        }
    }

    @Test func aBenchmarkSaysOfWhichNetworkItIs() throws {
        try withTemporaryFolder { folder in
            let flags = ["--hidden", "24", "--heads", "2", "--depth", "1", "--latent", "4", "--batch", "1", "--json"]
            let ended = try transcend(["bench", "--steps", "1", "--warmup", "0"] + flags, in: folder)
            let row = try #require(JSONSerialization.jsonObject(with: Data(ended.output.utf8)) as? [String: Any])
            #expect(row["model"] as? String == "SiT-S/2" && row["hidden"] as? Int == 24 && row["depth"] as? Int == 1)
            #expect(row["heads"] as? Int == 2 && row["patch"] as? Int == 2 && row["latent"] as? Int == 4)
        }
    }

    @Test func samplesOfTheThreeFormsAreWritten() throws {
        try withTemporaryFolder { folder in
            #expect(try transcend(["pipeline", "--out", "run", "--steps", "2"] + tiny, in: folder).status == 0)
            let common = [
                "sample", "--checkpoint", "run", "--steps", "2", "--count", "4", "--labels", "disc", "3", "--out",
            ]
            for (name, file) in [("grid.png", "grid.png"), ("array.npz", "array.npz"), ("many", "many/000003.png")] {
                let ended = try transcend(common + [name], in: folder)
                #expect(ended.status == 0, "\(ended.errors)")
                #expect(FileManager.default.fileExists(atPath: folder + "/" + file))
            }
            let wrong = try transcend(common.dropLast(3) + ["dics", "--out", "x.png"], in: folder)
            #expect(wrong.status == 2 && wrong.errors.contains("did you mean disc?"))
            let inspected = try transcend(["inspect", "run"], in: folder)
            #expect(inspected.output.contains("selfguided") && inspected.output.contains("disc, ring"))

            for (name, said) in [
                ("weights.pt", "weights of step 2, as PyTorch saves them"), ("exported", "SiT, as diffusers writes"),
            ] {
                #expect(try transcend(["export", "--checkpoint", "run", "--out", name], in: folder).status == 0)
                let ended = try transcend(["inspect", name], in: folder)
                #expect(
                    ended.status == 0 && ended.output.contains("/\(name): \(said)"), "\(ended.output)\(ended.errors)")
                #expect(ended.output.contains("blocks.1.attn.qkv.weight"), "\(ended.output)")
            }
            for (path, said) in [
                ("array.npz", "U8     [4, 24, 24, 3]"), (fixture("colours.pt"), "a TorchScript module"),
            ] {
                let ended = try transcend(["inspect", path], in: folder)
                #expect(ended.status == 0 && ended.output.contains(said), "\(ended.output)\(ended.errors)")
            }
        }
    }
}
