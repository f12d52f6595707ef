import Data
import Diffusion
import Formats
import Foundation

/// Complete Self-Transcendence training: stage 1, then stage 2 with stage 1's network as its teacher, in one run
/// directory.
public struct Pipeline {
    /// The methods of the stages, which are also the names of their folders.
    public static let stages = [AlignLatent.name, SelfGuided.name]

    /// The folder that contains the stages' folders.
    public let path: String
    /// The configuration of each stage, with its teacher.
    public let configurations: [TrainingConfiguration]

    /// Creates a pipeline; `configurations` are those of `stages`, in order. Throws anything that would keep a stage
    /// from being run or continued, before anything is done.
    public init(path: String, configurations: [TrainingConfiguration]) throws {
        precondition(configurations.map(\.method.name) == Self.stages)
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        guard names.isEmpty || names.contains(Self.stages[0]) else {
            throw FileError(path, "is neither empty nor the run of a pipeline", remedy: "give another --out")
        }
        if configurations.contains(where: { $0.teacher != nil }) {
            throw ConfigurationError("--teacher: a pipeline trains its own; use `train --stage selfguided`")
        }
        let (first, second) = (try configurations[0].resolvingStart(), try configurations[1].resolvingStart())
        if let misfit = second.network.misfit(of: first.network) {
            throw ConfigurationError("selfguided cannot follow align: \(misfit)")
        }
        var guided = second
        // Relative, so that the run can be moved; with its step, so that the teacher cannot change during training.
        guided.teacher = "../\(Self.stages[0])/checkpoints/" + CheckpointName.of(step: first.steps)
        self.path = path
        self.configurations = [first, guided]
        try checkTeacher(steps: first.steps)
        for stage in self.configurations { try RunDirectory.check(stage, continues: folder(of: stage)) }
    }

    /// Throws if stage 2 has begun with stage 1 at a step other than its last.
    private func checkTeacher(steps: Int) throws {
        guard let teacher = Self.teacher(ofStageIn: folder(of: configurations[1])),
            let step = CheckpointName.step(teacher.split(separator: "/").last ?? ""), step != steps
        else { return }
        throw ConfigurationError(
            "--align.steps \(steps): stage 2 of \(path) follows stage 1 at step \(step); give --align.steps \(step), or "
                + "another --out")
    }

    /// The teacher of the second stage's folder, if it is relative to it as only a pipeline stores it; nil for other
    /// folders.
    private static func teacher(ofStageIn folder: String) -> String? {
        (try? JSONValue.read(path: folder + "/config.json"))?["teacher"]?.string.flatMap {
            $0.hasPrefix("../\(stages[0])/") ? $0 : nil
        }
    }

    /// Throws if a folder holds a stage of a pipeline whose second stage has begun: if they were trained separately,
    /// stage 2 would no longer match its teacher.
    public static func refuseStage(at path: String) throws {
        let url = URL(fileURLWithPath: path).resolvingSymlinksInPath()
        let pipeline = url.deletingLastPathComponent().path
        guard stages.contains(url.lastPathComponent), teacher(ofStageIn: "\(pipeline)/\(stages[1])") != nil else {
            return
        }
        throw ConfigurationError(
            "\(path): is a stage of the pipeline in \(pipeline); continue that with `transcend pipeline`, or give another "
                + "--out")
    }

    private func folder(of stage: TrainingConfiguration) -> String { path + "/" + stage.method.name }

    /// Runs the unfinished stages; `announce` is called before each stage.
    public func train(
        in world: World = .alone, announce: (_ stage: String, _ number: Int) -> Void = { _, _ in }
    ) throws -> Trainer.Outcome {
        // All data are opened first, so that no training is wasted.
        var datasets = [try TrainingData.open(configurations[0])]
        datasets.append(
            TrainingData.isSame(configurations[0], configurations[1])
                ? datasets[0] : try TrainingData.open(configurations[1]))
        for (index, stage) in configurations.enumerated() {
            // Reading the output of the previous stage may take long.
            let trainer = try world.readingOrWriting {
                let run = try world.firstThenOthers { try RunDirectory(folder(of: stage), for: world) }
                return try Trainer(stage, dataset: datasets[index], run: run, world: world)
            }
            announce(stage.method.name, index + 1)
            let outcome = try trainer.train()
            if case .interrupted = outcome { return outcome }
        }
        return .finished
    }
}
