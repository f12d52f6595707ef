import ArgumentParser
import Foundation
import Transcend

struct TrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Train one stage.",
        usage: "transcend train --stage <stage> --out <folder> [--preset <name>] [<options>]")

    @Option(help: "plain, align (stage 1) or selfguided (stage 2).")
    var stage: String
    @OptionGroup var options: RunOptions
    @OptionGroup var training: TrainingOptions

    func run() throws {
        let configuration = try options.builder(training.settings()).configuration(stage: stage)
        if options.dryRun { return DryRun.print(configuration) }
        let folder = try options.folder()
        Interruption.watch()
        let dataset = try TrainingData.open(configuration)
        try TrainingData.check(dataset, fits: configuration.network)
        let trainer = try Trainer(configuration, dataset: dataset, run: RunDirectory(folder))
        try report(trainer.train(), folder: folder)
    }
}

struct PipelineCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pipeline",
        abstract: "Train stage 1, then stage 2 with stage 1 as its teacher.",
        usage: "transcend pipeline --out <folder> [--preset <name>] [<options>]",
        discussion: "A flag sets both stages; --align.steps 500 or --selfguided.window 0.4 0.7 one of them.")

    @OptionGroup var options: RunOptions
    @OptionGroup var training: TrainingOptions
    @Option(help: .hidden) var align: [String] = []
    @Option(help: .hidden) var selfguided: [String] = []

    func run() throws {
        let stages = try [("align", align), ("selfguided", selfguided)].map { ($0, try Self.settings($1, of: $0)) }
        let builder = try options.builder(
            training.settings(), stages: Dictionary(uniqueKeysWithValues: stages))
        let configurations = try builder.pipeline(stages: Pipeline.stages)
        if options.dryRun { return configurations.forEach(DryRun.print) }
        let folder = try options.folder()
        Interruption.watch()
        let pipeline = try Pipeline(path: folder, configurations: configurations)
        let dataset = try TrainingData.open(configurations[0])
        try TrainingData.check(dataset, fits: configurations[0].network)
        let outcome = try pipeline.train(dataset: dataset) { stage, number in
            say("stage \(number) of \(Pipeline.stages.count): \(stage)")
        }
        try report(outcome, folder: folder)
    }

    /// The settings that the flags of one stage make.
    private static func settings(_ arguments: [String], of stage: String) throws -> [Setting] {
        do {
            return try TrainingOptions.parse(arguments).settings()
        } catch let error as ConfigurationError {
            throw error
        } catch {
            let reason = TrainingOptions.message(for: error)
            throw ConfigurationError("--\(stage).…: \(reason)")
        }
    }
}

/// Says how training ended and what lies where.
private func report(_ outcome: Trainer.Outcome, folder: String) throws {
    let checkpoint = try Checkpoint(folder)
    switch outcome {
    case .finished:
        print("checkpoint \(checkpoint.path)")
        print("curves     \(URL(fileURLWithPath: checkpoint.path + "/../../losses.png").standardizedFileURL.path)")
        say("Sample from it with: transcend sample --checkpoint \(folder) --out samples.png")
    case .interrupted(let step):
        say("stopped at step \(step); the same command continues from \(checkpoint.path)")
        throw ExitCode(130)
    }
}
