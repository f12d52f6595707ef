import Data
import Diffusion
import Formats
import Foundation

/// Self-Transcendence as a whole: stage 1, then stage 2 with stage 1's network as its teacher, in one run directory.
public struct Pipeline {
    /// The methods of the stages, which are also the names of their folders.
    public static let stages = [AlignLatent.name, SelfGuided.name]

    public let path: String
    public let configurations: [TrainingConfiguration]

    /// `configurations` are those of `stages`, in order.
    public init(path: String, configurations: [TrainingConfiguration]) throws {
        precondition(configurations.map(\.method.name) == Self.stages)
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        guard names.isEmpty || names.contains(Self.stages[0]) else {
            throw FileError(path, "is neither empty nor the run of a pipeline", remedy: "give another --out")
        }
        self.path = path
        self.configurations = configurations
    }

    /// Runs what is not done yet; `announce` is told of each stage before it begins.
    public func train(
        dataset: any Dataset, announce: (_ stage: String, _ number: Int) -> Void = { _, _ in }
    ) throws -> Trainer.Outcome {
        for (index, configuration) in configurations.enumerated() {
            var stage = configuration
            if index > 0 {
                // Relative, so that the run can be moved; with its step, so that the teacher cannot change under way.
                let previous = configurations[index - 1]
                stage.teacher =
                    "../\(previous.method.name)/checkpoints/" + RunDirectory.stepName(previous.steps)
            }
            announce(stage.method.name, index + 1)
            let run = try RunDirectory(path + "/" + stage.method.name)
            let outcome = try Trainer(stage, dataset: dataset, run: run).train()
            if case .interrupted = outcome { return outcome }
        }
        return .finished
    }
}
