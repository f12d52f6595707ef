import Data
import Diffusion
import Formats
import Foundation
import Models
import TestSupport
import Testing
import Torch
import Transcend

extension TrainingTests {
    @Suite struct Resume {
        /// Interrupted after step 3 of 6: also with the alignment stopping before or after that, micro-batches, flips, the
        /// published window, and a warm-up that lasts beyond it.
        @Test(
            arguments: [
                ("plain", []), ("align", []), ("plain", [Setting("data.flips", true), Setting("accumulation", 2)]),
                ("align", [Setting("method.alignment.stopStep", 2), Setting("schedule.warmupSteps", 5)]),
                ("align", [Setting("method.alignment.stopStep", 4), Setting("accumulation", 4)]),
                ("align", [Setting("method.alignment.semantics", "batch-mean"), Setting("method.target", "velocity")]),
                ("align", [Setting("precision", "bf16")]), ("layersync", []),
                ("sra", [Setting("accumulation", 2)]), ("sra", [Setting("method.alignment.stopStep", 4)]),
            ] as [(String, [Setting])])
        func aContinuedRunHasTheBytesOfAnUninterruptedOne(stage: String, settings: [Setting]) throws {
            try withTemporaryFolder { folder in
                let whole = folder + "/whole"
                let parts = folder + "/parts"
                try train(tinyConfiguration(stage, settings), in: whole)
                try train(tinyConfiguration(stage, settings + [Setting("steps", 3)]), in: parts)
                try train(tinyConfiguration(stage, settings), in: parts)
                let name = "/checkpoints/step-0000006"
                let expected = try contents(of: whole + name)
                #expect(expected.count == 4)
                #expect(try contents(of: parts + name) == expected)
            }
        }

        @Test func metricsOfAContinuedRunHaveEachStepOnce() throws {
            try withTemporaryFolder { folder in
                try train(tinyConfiguration("plain", [Setting("steps", 3)]), in: folder)
                // As if the process had been killed after step 4, in the middle of a line.
                let metrics = folder + "/metrics.jsonl"
                let more =
                    try String(contentsOfFile: metrics, encoding: .utf8)
                    + "{\"step\":3,\"stage\":\"plain\",\"denoisingLoss\":1}\n{\"step\":4,\"sta"
                try more.write(toFile: metrics, atomically: true, encoding: .utf8)
                try train(tinyConfiguration("plain"), in: folder)
                #expect(try MetricsLog.read(path: metrics).map(\.step) == Array(0..<6))
            }
        }

        @Test func accumulationChangesNothingButRounding() throws {
            try withTemporaryFolder { folder in
                for parts in [1, 2, 4] {
                    try train(
                        tinyConfiguration("align", [Setting("accumulation", .int(Int64(parts)))]),
                        in: folder + "/\(parts)")
                }
                let rows = try [1, 2, 4].map { try MetricsLog.read(path: folder + "/\($0)/metrics.jsonl") }
                for other in rows[1...] {
                    for (a, b) in zip(rows[0], other) {
                        for value in ["denoisingLoss", "gradientNorm"] {
                            #expect(abs(a.values[value]! - b.values[value]!) <= 1e-5, "\(value) of step \(a.step)")
                        }
                    }
                }
            }
        }

        /// What blocks computed is kept, or computed anew, or first the one and then the other.
        @Test(arguments: ["f32", "bf16"])
        func recomputationChangesNoBit(precision: String) throws {
            try withTemporaryFolder { folder in
                let settings = [Setting("precision", .string(precision))]
                try train(tinyConfiguration("align", settings), in: folder + "/kept")
                try train(tinyConfiguration("align", settings + [Setting("steps", 3)]), in: folder + "/anew")
                try train(tinyConfiguration("align", settings + [Setting("recompute", true)]), in: folder + "/anew")
                let files = try ["kept", "anew"].map { run in
                    try contents(of: "\(folder)/\(run)/checkpoints/step-0000006").filter {
                        $0.key.hasSuffix(".safetensors")
                    }
                }
                #expect(files[0].count == 3 && files[0] == files[1])
            }
        }

        @Test func aRunDoesNotContinueWithOtherSettings() throws {
            try withTemporaryFolder { folder in
                try train(tinyConfiguration("plain"), in: folder)
                let error = #expect(throws: ConfigurationError.self) {
                    try train(tinyConfiguration("plain", [Setting("batch", 16)]), in: folder)
                }
                #expect(error?.description.contains("this run has batch = 8, now it would be 16") == true)
            }
        }

        /// Its checkpoint has the settings too.
        @Test func aRunWithoutItsConfigurationDoesNotEither() throws {
            try withTemporaryFolder { folder in
                try train(tinyConfiguration("plain"), in: folder)
                try FileManager.default.removeItem(atPath: folder + "/config.json")
                let error = #expect(throws: ConfigurationError.self) {
                    try train(tinyConfiguration("plain", [Setting("batch", 16)]), in: folder)
                }
                #expect(error?.description.contains("this run has batch = 8, now it would be 16") == true)
            }
        }

        @Test func aRunThatHasNoCheckpointYetMayBeginOtherwise() throws {
            try withTemporaryFolder { folder in
                let high = [Setting("schedule.learningRate", 1e30)]
                #expect(throws: (any Error).self) { try train(tinyConfiguration("plain", high), in: folder) }
                #expect(FileManager.default.fileExists(atPath: folder + "/config.json"))
                try train(tinyConfiguration("plain"), in: folder)
                let metrics = try MetricsLog.read(path: folder + "/metrics.jsonl")
                #expect(metrics.map(\.step) == Array(0..<6))
            }
        }

        /// Before anything is trained.
        @Test func whatAPipelineStartsFromHasToFitBothStages() throws {
            try withTemporaryFolder { folder in
                try train(tinyConfiguration("plain", [Setting("network.hidden", 32)]), in: folder + "/other")
                try train(tinyConfiguration("align"), in: folder + "/align")
                func problem(_ settings: [Setting]) throws -> String? {
                    let builder = ConfigurationBuilder(
                        preset: try .named("demo"), settings: tinySettings(),
                        stageSettings: ["selfguided": settings])
                    let stages = try builder.pipeline(stages: Pipeline.stages)
                    do { _ = try Pipeline(path: folder + "/run", configurations: stages) } catch { return "\(error)" }
                    return nil
                }
                let other = JSONValue.string(folder + "/other")
                let align = JSONValue.string(folder + "/align")
                let misfit = try problem([Setting("initialWeights", other)])
                #expect(misfit?.contains("its network has hidden size 32, this one 16") == true)
                let missing = try problem([Setting("initialWeights", "nowhere")])
                #expect(missing?.contains("holds no checkpoint") == true)
                let head = try problem([Setting("initialState", align)])
                #expect(head?.contains("which has another head than selfguided; take its weights alone") == true)
                #expect(try problem([Setting("initialWeights", align)]) == nil)
            }
        }

        @Test func theTeacherHasToFitAndToBeThere() throws {
            try withTemporaryFolder { folder in
                try train(tinyConfiguration("align", [Setting("network.hidden", 32)]), in: folder + "/teacher")
                let teacher = Setting("teacher", .string(folder + "/teacher"))
                let misfit = #expect(throws: ConfigurationError.self) {
                    try train(tinyConfiguration("selfguided", [teacher]), in: folder + "/a")
                }
                #expect(misfit?.description.contains("its network has hidden size 32, this one 16") == true)
                let missing = #expect(throws: ConfigurationError.self) {
                    try tinyConfiguration("selfguided").resolvingCheckpoints()
                }
                #expect(missing?.description.contains("give its --teacher") == true)
            }
        }

        /// Shapes alone do not tell what a network means by t, by a class, or without a label.
        @Test func theTeacherHasToMeanTheSame() throws {
            try withTemporaryFolder { folder in
                func problem(_ settings: [Setting], classNames: [String]? = nil) throws -> String? {
                    let teacher = folder + "/\(UUID())"
                    try train(tinyConfiguration("align", [Setting("steps", 1)] + settings), in: teacher)
                    try edit(teacher + "/checkpoints/step-0000001/state.json") {
                        changing("classNames", in: $0) { names in
                            classNames.map { .array($0.map(JSONValue.string)) } ?? names
                        }
                    }
                    let guided = try tinyConfiguration("selfguided", [Setting("teacher", .string(teacher))])
                    do { try train(guided, in: folder + "/\(UUID())") } catch { return "\(error)" }
                    return nil
                }
                let path = try problem([Setting("diffusion.path", "cosine")])
                #expect(path?.contains("it was trained with diffusion.path=cosine; set the same") == true)
                let drop = try problem([Setting("diffusion.labelDrop", 0)])
                #expect(drop?.contains("has no features without a label") == true)
                let others = try problem([], classNames: (0..<10).map { "zebra \($0)" })
                #expect(others?.contains("its class 0 is \"zebra 0\", that of the data \"disc\"") == true)
                let numbered = try problem([], classNames: (0..<10).map(String.init))
                #expect(numbered == nil)
            }
        }

        @Test func aStateIsNotResumedAlongAnotherPath() throws {
            try withTemporaryFolder { folder in
                try train(tinyConfiguration("plain", [Setting("diffusion.path", "cosine")]), in: folder + "/a")
                let error = #expect(throws: ConfigurationError.self) {
                    try train(
                        tinyConfiguration("plain", [Setting("initialState", .string(folder + "/a"))]), in: folder + "/b"
                    )
                }
                #expect(error?.description.contains("it was trained with diffusion.path=cosine; set the same") == true)
            }
        }

        /// The run that follows it could not be continued without.
        @Test func aCheckpointThatIsFollowedStays() throws {
            try withTemporaryFolder { folder in
                let few = [Setting("output.checkpointEvery", 1), Setting("output.keepCheckpoints", 1)]
                try train(tinyConfiguration("align", few + [Setting("steps", 2)]), in: folder + "/teacher")
                let teacher = [Setting("teacher", .string(folder + "/teacher/checkpoints/step-0000002"))]
                try train(tinyConfiguration("selfguided", teacher + [Setting("steps", 3)]), in: folder + "/student")
                try train(tinyConfiguration("align", few), in: folder + "/teacher")
                #expect(RunDirectory.checkpointSteps(in: folder + "/teacher") == [2, 6])
                try train(tinyConfiguration("selfguided", teacher), in: folder + "/student")
            }
        }

        @Test func aPipelineDoesNotTrainOnWhatItsTeacherCameFrom() throws {
            try withTemporaryFolder { folder in
                func pipeline(alignSteps: Int64, _ more: [Setting] = []) throws -> Pipeline {
                    let builder = ConfigurationBuilder(
                        preset: try .named("demo"), settings: tinySettings(),
                        stageSettings: ["align": [Setting("steps", .int(alignSteps))], "selfguided": more])
                    return try Pipeline(path: folder, configurations: builder.pipeline(stages: Pipeline.stages))
                }
                _ = try pipeline(alignSteps: 6).train()
                let before = try contents(of: folder)
                let longer = #expect(throws: ConfigurationError.self) { try pipeline(alignSteps: 9) }
                #expect(longer?.description.contains("follows stage 1 at step 6; give --align.steps 6") == true)
                let misfit = #expect(throws: ConfigurationError.self) {
                    try pipeline(alignSteps: 6, [Setting("network.hidden", 32)])
                }
                #expect(misfit?.description.contains("selfguided cannot follow align") == true)
                #expect(try contents(of: folder) == before)
            }
        }

        @Test func aPipelineHandsTheTeacherOverAndContinues() throws {
            try withTemporaryFolder { folder in
                let builder = ConfigurationBuilder(preset: try .named("demo"), settings: tinySettings())
                let stages = try builder.pipeline(stages: Pipeline.stages)
                var announced: [String] = []
                for _ in 0..<2 {
                    _ = try Pipeline(path: folder, configurations: stages).train { stage, _ in
                        announced.append(stage)
                    }
                }
                #expect(announced == ["align", "selfguided", "align", "selfguided"])
                let last = try Checkpoint(folder)
                #expect(last.state.configuration.method.name == "selfguided" && last.state.step == 6)
                #expect(last.state.configuration.teacher == "../align/checkpoints/step-0000006")
                // Student and teacher start from different weights.
                let names = ["align", "selfguided"].map { "\(folder)/\($0)/checkpoints/step-0000003/model.safetensors" }
                let weights = try names.map { try SafetensorsFile(path: $0).tensor("x_embedder.proj.weight") }
                #expect(relativeDifference(weights[0], weights[1]) > 0.5)
            }
        }

        @Test func initialWeightsAreTheStart() throws {
            try withTemporaryFolder { folder in
                try train(tinyConfiguration("plain"), in: folder + "/first")
                let start = Setting("initialWeights", .string(folder + "/first"))
                let rate = Setting("schedule.learningRate", 1e-12)
                try train(tinyConfiguration("plain", [start, rate, Setting("seed", 1)]), in: folder + "/second")
                let weights = try ["first", "second"].map {
                    try SafetensorsFile(path: "\(folder)/\($0)/checkpoints/step-0000006/model.safetensors")
                        .tensor("blocks.0.attn.qkv.weight")
                }
                #expect(relativeDifference(weights[0], weights[1]) < 1e-6)
            }
        }

        @Test func oldCheckpointsGo() throws {
            try withTemporaryFolder { folder in
                let often = [Setting("output.checkpointEvery", 1), Setting("output.keepCheckpoints", 2)]
                try train(tinyConfiguration("plain", often), in: folder)
                #expect(RunDirectory.checkpointSteps(in: folder) == [5, 6])
            }
        }

        @Test func aRunInUseIsLeftAlone() throws {
            try withTemporaryFolder { folder in
                let first = try RunDirectory(folder)
                let error = #expect(throws: FileError.self) { try RunDirectory(folder) }
                #expect(error?.description.contains("is in use by process \(getpid())") == true)
                withExtendedLifetime(first) {}
            }
        }

        /// As a child process has what its parent had opened, before it becomes another program.
        @Test func aRunIsFreeAgainWhoeverHasItsLockOpenStill() throws {
            try withTemporaryFolder { folder in
                var copies: [Int32] = []
                defer { for copy in copies { close(copy) } }
                do {
                    let run = try RunDirectory(folder)
                    var (lock, opened) = (stat(), stat())
                    #expect(stat(folder + "/lock", &lock) == 0)
                    copies = (0..<1024).filter { fstat($0, &opened) == 0 && opened.st_ino == lock.st_ino }.map {
                        dup($0)
                    }
                    #expect(!copies.isEmpty)
                    withExtendedLifetime(run) {}
                }
                #expect(throws: Never.self) { try RunDirectory(folder) }
            }
        }

        @Test func afolderThatIsNoRunIsLeftAlone() throws {
            try withTemporaryFolder { folder in
                try Data("mine".utf8).write(to: URL(fileURLWithPath: folder + "/thesis.txt"))
                #expect(throws: FileError.self) { try RunDirectory(folder) }
                #expect(try contents(of: folder).keys.sorted() == ["thesis.txt"])
            }
        }

        private func relativeDifference(_ a: Tensor, _ b: Tensor) -> Double { ((a - b).norm() / a.norm()).item() }
    }
}
