import Data
import Formats
import Foundation
import TestSupport
import Testing
import Torch
import Transcend

extension TrainingTests {
    @Suite struct NonFinite {
        @Test func aStepThatIsNotFiniteStopsTheRunWithItsNumbersAndTheLastCheckpoint() throws {
            try withTemporaryFolder { folder in
                let configuration = try tinyConfiguration("align", [Setting("output.checkpointEvery", 1)])
                let error = #expect(throws: DivergenceError.self) { try run(configuration, bad: 9, in: folder) }
                let text = try #require(error?.description)
                let step = RunDirectory.checkpointSteps(in: folder).last ?? 0
                #expect(text.hasPrefix("align: step \(step) is not finite (denoising loss "))
                #expect(text.contains("gradient norm ") && text.contains("--skip-nonfinite N"))
                let last = RunDirectory.newestCheckpoint(in: folder).map { "the last checkpoint is \($0)" }
                #expect(text.contains(last ?? "there is no checkpoint yet"))
            }
        }

        @Test func skippedStepsAreCountedAndChangeNothing() throws {
            try withTemporaryFolder { folder in
                let configuration = try tinyConfiguration("plain", skipping(2))
                try run(configuration, bad: 9, in: folder)
                // One of 24 images is bad, and each epoch has three steps.
                let state = try Checkpoint(folder).state
                #expect(state.step == 9 && state.skips.total == 3)
                let rows = try MetricsLog.read(path: folder + "/metrics.jsonl")
                let skipped = rows.filter { $0.values["denoisingLoss"]?.isFinite == false }
                #expect(rows.count == 9 && skipped.map { $0.values["skippedSteps"] } == [1, 2, 3])
                // All numbers of the network stay finite.
                let weights = try Checkpoint(folder).network(.ema, on: .cpu).parameters()
                #expect(weights.allSatisfy { $0.parameter.value.norm().item().isFinite })
            }
        }

        @Test(arguments: 1...8) func aRunWithSkippedStepsContinuesToTheSameBytes(from step: Int) throws {
            try withTemporaryFolder { folder in
                try run(tinyConfiguration("plain", skipping(2)), bad: 9, in: folder + "/whole")
                let first = skipping(2) + [Setting("steps", .int(Int64(step)))]
                try run(tinyConfiguration("plain", first), bad: 9, in: folder + "/parts")
                try run(tinyConfiguration("plain", skipping(2)), bad: 9, in: folder + "/parts")
                let name = "/checkpoints/step-0000009"
                #expect(try contents(of: folder + "/parts" + name) == contents(of: folder + "/whole" + name))
            }
        }

        @Test func oneMoreThanMayBeSkippedStopsTheRun() throws {
            try withTemporaryFolder { folder in
                let configuration = try tinyConfiguration("plain", skipping(2))
                let error = #expect(throws: DivergenceError.self) { try run(configuration, bad: nil, in: folder) }
                #expect(error?.description.hasPrefix("plain: step 2 is not finite") == true)
            }
        }

        private func skipping(_ count: Int64) -> [Setting] {
            [Setting("optimizer.skipNonfinite", .int(count)), Setting("steps", 9)]
        }

        private func run(_ configuration: TrainingConfiguration, bad: Int?, in folder: String) throws {
            let dataset = FaultyPictures(pictures: Pictures(side: 24, count: 24), bad: bad)
            _ = try Trainer(configuration, dataset: dataset, run: RunDirectory(folder)).train()
        }
    }
}

/// Pictures of which one, or all of them, are infinitely bright.
private struct FaultyPictures: Dataset {
    let pictures: Pictures
    /// nil: all.
    let bad: Int?

    var count: Int { pictures.count }
    var classNames: [String] { pictures.classNames }
    var channels: Int { pictures.channels }
    var side: Int { pictures.side }

    func label(_ index: Int) -> Int { pictures.label(index) }

    func copyImage(_ index: Int, epoch: Int, into image: UnsafeMutableBufferPointer<Float>, mirrored: Bool) {
        pictures.copyImage(index, epoch: epoch, into: image, mirrored: mirrored)
        if bad ?? index == index { image.update(repeating: .infinity) }
    }
}
