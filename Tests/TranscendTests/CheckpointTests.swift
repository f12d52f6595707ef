import Data
import Formats
import Foundation
import TestSupport
import Testing
import Torch
import Transcend

extension TrainingTests {
    @Suite struct Checkpoints {
        @Test(arguments: ["model.safetensors", "ema.safetensors", "optimizer.safetensors", "state.json"])
        func aFlippedBitStopsTheRunUntilTheCheckpointIsGone(file: String) throws {
            try withTemporaryFolder { folder in
                try train(tinyConfiguration("plain"), in: folder)
                let newest = folder + "/checkpoints/step-0000006"
                let whole = try contents(of: newest)
                // In the last number of each file; in JSON one digit becomes another.
                try flipBit(of: newest + "/" + file, ofLast: file == "state.json" ? "0" : nil)
                let error = #expect(throws: FileError.self) {
                    try train(tinyConfiguration("plain", [Setting("steps", 9)]), in: folder)
                }
                #expect(error?.path == newest + "/" + file)
                #expect(error?.description.contains("is damaged") == true)
                #expect(error?.remedy.contains("remove its folder to use the one before it") == true)
                try FileManager.default.removeItem(atPath: newest)
                try train(tinyConfiguration("plain"), in: folder)
                #expect(try contents(of: newest) == whole)
            }
        }

        @Test func weightsAreCheckedBeforeTheyAreUsed() throws {
            try withTemporaryFolder { folder in
                try train(tinyConfiguration("plain"), in: folder)
                let checkpoint = try Checkpoint(folder)
                try flipBit(of: checkpoint.path + "/ema.safetensors")
                #expect(throws: FileError.self) { try checkpoint.network(.ema, on: .cpu) }
                #expect(throws: Never.self) { try checkpoint.network(.raw, on: .cpu) }
            }
        }

        @Test func aNewerFormatIsNamedWithOurs() throws {
            try withTemporaryFolder { folder in
                try train(tinyConfiguration("plain"), in: folder)
                let path = folder + "/checkpoints/step-0000006/state.json"
                let text = try String(contentsOfFile: path, encoding: .utf8)
                try text.replacingOccurrences(of: #""formatVersion": 2"#, with: #""formatVersion": 3"#)
                    .write(toFile: path, atomically: true, encoding: .utf8)
                let error = #expect(throws: FileError.self) { try Checkpoint(folder) }
                #expect(error?.problem == "has format version 3, this program reads 2")
            }
        }

        @Test func theNewestStayAndThoseAtSetIntervals() throws {
            try withTemporaryFolder { folder in
                let often = [
                    Setting("output.checkpointEvery", 1), Setting("output.keepCheckpoints", 2),
                    Setting("output.keepEvery", 3), Setting("steps", 8),
                ]
                try train(tinyConfiguration("plain", often), in: folder)
                #expect(RunDirectory.checkpointSteps(in: folder) == [3, 6, 7, 8])
            }
        }

        @Test func theTeacherOfALaterStageStays() throws {
            try withTemporaryFolder { folder in
                let builder = ConfigurationBuilder(preset: try .named("demo"), settings: tinySettings())
                let stages = try builder.pipeline(stages: Pipeline.stages)
                _ = try Pipeline(path: folder, configurations: stages).train()
                let longer = [
                    Setting("output.checkpointEvery", 1), Setting("output.keepCheckpoints", 1), Setting("steps", 9),
                ]
                try train(tinyConfiguration("align", longer), in: folder + "/align")
                #expect(RunDirectory.checkpointSteps(in: folder + "/align") == [6, 9])
            }
        }

        @Test func whatACrashLeavesIsNoCheckpointAndGoes() throws {
            try withTemporaryFolder { folder in
                try train(tinyConfiguration("plain"), in: folder + "/whole")
                let run = folder + "/run"
                try train(tinyConfiguration("plain", [Setting("steps", 3)]), in: run)
                let whole = run + "/checkpoints/step-0000003"
                // In the midst of writing and of removing.
                for leftover in [".partial-step-0000005", ".removed-step-0000004"] {
                    try FileManager.default.copyItem(atPath: whole, toPath: run + "/checkpoints/" + leftover)
                }
                try Data("{".utf8).write(to: URL(fileURLWithPath: run + "/.config.json.partial-1"))
                try train(tinyConfiguration("plain"), in: run)
                let names = try FileManager.default.subpathsOfDirectory(atPath: run)
                #expect(!names.contains { $0.contains(".partial-") || $0.contains(".removed-") })
                let last = "/checkpoints/step-0000006"
                #expect(try contents(of: run + last) == contents(of: folder + "/whole" + last))
            }
        }

        /// The run could only begin anew, or lose steps.
        @Test func aCheckpointWithoutItsStateStopsTheRun() throws {
            try withTemporaryFolder { folder in
                try train(tinyConfiguration("plain"), in: folder)
                try FileManager.default.removeItem(atPath: folder + "/checkpoints/step-0000006/state.json")
                for path in [folder, folder + "/checkpoints/step-0000006"] {
                    let error = #expect(throws: FileError.self) { try Checkpoint(path) }
                    #expect(error?.path == folder + "/checkpoints/step-0000006/state.json")
                    #expect(
                        error?.description.contains("is missing; copy the checkpoint again, or remove its folder")
                            == true)
                }
                #expect(throws: FileError.self) {
                    try train(tinyConfiguration("plain", [Setting("steps", 9)]), in: folder)
                }
                try FileManager.default.removeItem(atPath: folder + "/checkpoints/step-0000006")
                try train(tinyConfiguration("plain"), in: folder)
            }
        }

        @Test func aCheckpointThatCannotBeWrittenStopsTheRun() throws {
            try withTemporaryFolder { folder in
                let run = try RunDirectory(folder)
                let checkpoints = folder + "/checkpoints"
                try FileManager.default.removeItem(atPath: checkpoints)
                try Data().write(to: URL(fileURLWithPath: checkpoints))
                let configuration = try tinyConfiguration("plain")
                let trainer = try Trainer(configuration, dataset: TrainingData.open(configuration), run: run)
                let error = #expect(throws: FileError.self) { try trainer.train() }
                #expect(error?.path.hasPrefix(checkpoints) == true)
            }
        }

        @Test func aPictureThatCannotBeWrittenDoesNot() throws {
            try withTemporaryFolder { folder in
                let run = try RunDirectory(folder)
                try FileManager.default.removeItem(atPath: folder + "/samples")
                let configuration = try tinyConfiguration("plain", [Setting("output.sampleEvery", 6)] + tinyPreview)
                let trainer = try Trainer(configuration, dataset: TrainingData.open(configuration), run: run)
                _ = try trainer.train()
                #expect(RunDirectory.checkpointSteps(in: folder) == [3, 6])
            }
        }

        @Test func aMissingPictureIsDrawnWhenTheRunIsContinued() throws {
            try withTemporaryFolder { folder in
                let configuration = try tinyConfiguration("plain", [Setting("output.sampleEvery", 6)] + tinyPreview)
                try train(configuration, in: folder)
                let picture = folder + "/samples/step-0000006.png"
                let before = try Data(contentsOf: URL(fileURLWithPath: picture))
                try FileManager.default.removeItem(atPath: picture)
                try train(configuration, in: folder)
                #expect(FileManager.default.contents(atPath: picture) == before)
            }
        }

        private var tinyPreview: [Setting] {
            [Setting("preview.classes", 1), Setting("preview.perClass", 1), Setting("preview.sampler.steps", 2)]
        }

        /// Flips the lowest bit of the last byte, or of the last one that is this character.
        private func flipBit(of path: String, ofLast character: Character? = nil) throws {
            var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            let place = character.flatMap { bytes.lastIndex(of: $0.asciiValue!) } ?? bytes.count - 1
            bytes[place] ^= 1
            try bytes.write(to: URL(fileURLWithPath: path))
        }
    }
}
