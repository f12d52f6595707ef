import ArgumentParser
import Diffusion
import Foundation
import Transcend

struct TrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Train one stage.",
        usage: "transcend train --stage <stage> --out <folder> [--preset <name>] [<options>]")

    @Option(help: "One of \(Methods.names).")
    var stage: String?
    @OptionGroup var options: RunOptions
    @OptionGroup var training: TrainingOptions

    func run() throws {
        let configuration = try options.builder(training.settings()).configuration(stage: stage)
        if options.dryRun { return try DryRun.print([configuration]) }
        let folder = try options.folder()
        try Pipeline.refuseStage(at: folder)
        let resolved = try configuration.resolvingCheckpoints()
        try trainTogether(resolved, folder: folder) { world in
            let dataset = try TrainingData.open(resolved)
            let run = try world.firstThenOthers { try RunDirectory(folder, for: world) }
            return try Trainer(resolved, dataset: dataset, run: run, world: world).train()
        }
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
        if options.dryRun { return try DryRun.print(configurations) }
        let folder = try options.folder()
        let pipeline = try Pipeline(path: folder, configurations: configurations)
        try trainTogether(configurations[0], folder: folder) { world in
            try pipeline.train(in: world) { stage, number in
                if world.isFirst { say("stage \(number) of \(Pipeline.stages.count): \(stage)") }
            }
        }
    }

    /// Parses the flags of one stage into settings.
    private static func settings(_ arguments: [String], of stage: String) throws -> [Setting] {
        do {
            return try TrainingOptions.parse(arguments).settings().map { setting in
                Setting(setting.key, setting.value, origin: "--\(stage).\(setting.origin.dropFirst(2))")
            }
        } catch let error as ConfigurationError {
            throw error
        } catch {
            let reason = TrainingOptions.message(for: error)
            throw ConfigurationError("--\(stage).…: \(reason)")
        }
    }
}

/// Trains together with the processes described by the environment, and on rank 0 reports the outcome and the files.
private func trainTogether(
    _ configuration: TrainingConfiguration, folder: String, _ train: (World) throws -> Trainer.Outcome
) throws {
    let launch = try Launch()
    if let launch { try configuration.checkShares(of: launch.size) }
    let outcome = try World.join(
        launch, device: configuration.device, timeout: configuration.distributed.timeoutSeconds, train)
    try report(outcome, folder: folder, printing: launch == nil || launch?.rank == 0)
}

private func report(_ outcome: Trainer.Outcome, folder: String, printing: Bool) throws {
    guard printing else {
        if case .interrupted = outcome { throw ExitCode(Interruption.status) }
        return
    }
    let checkpoint = try Checkpoint(folder)
    switch outcome {
    case .finished:
        print("checkpoint \(checkpoint.path)")
        let run = URL(fileURLWithPath: checkpoint.path).deletingLastPathComponent().deletingLastPathComponent().path
        for (name, file) in [("curves    ", "losses.png"), ("samples   ", "samples/\(stepName(checkpoint)).png")]
        where FileManager.default.fileExists(atPath: "\(run)/\(file)") {
            print(name, "\(run)/\(file)")
        }
        let needsDecoder = checkpoint.state.latents != nil && checkpoint.state.configuration.preview.autoencoder == nil
        let decoder = needsDecoder ? " --autoencoder PATH" : ""
        say("Sample from it with: transcend sample --checkpoint \(folder)\(decoder) --out samples.png")
    case .interrupted(let step):
        say("stopped at step \(step); the same command continues from \(checkpoint.path)")
        throw ExitCode(Interruption.status)
    }
}

/// The name of a checkpoint's folder, which its sample grid shares.
private func stepName(_ checkpoint: Checkpoint) -> String { URL(fileURLWithPath: checkpoint.path).lastPathComponent }
