import ArgumentParser
import Data
import Diffusion
import Foundation
import Torch
import Transcend

struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Time training steps, sampling, the loader, or a whole training.",
        subcommands: [
            BenchStepCommand.self, BenchSampleCommand.self, BenchLoaderCommand.self, BenchTrainCommand.self,
        ],
        defaultSubcommand: BenchStepCommand.self)
}

struct BenchStepCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "step",
        abstract: "Time training steps on a synthetic batch, as `bench` alone does.",
        usage: "transcend bench step [--model <name>] [--batch <n>] [--stage <stage>] [<options>]")

    @Option(help: ArgumentHelp("One of \(Methods.names).", valueName: "name")) var stage =
        "plain"
    @OptionGroup var options: BenchOptions
    @Option(help: ArgumentHelp("Width of the head. (default: 2048)", valueName: "n")) var headWidth: Int?
    @Option(help: ArgumentHelp("Block that is aligned. (default: 6)", valueName: "n")) var studentDepth: Int?
    @Option(help: ArgumentHelp("Block of the teacher. (default: 8)", valueName: "n")) var teacherDepth: Int?
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Times at which alignment counts. (default: 0.4 0.7; repa, sra and layersync: all)", valueName: "low high"))
    var window: [Double] = []
    @Option(help: ArgumentHelp("Size of the features that repa follows. (default: 768)", valueName: "n"))
    var targetWidth: Int?

    func run() throws {
        let configuration = try options.configuration(stage: stage) { options in
            if stage == Plain.name { return }
            (options.headWidth, options.studentDepth, options.teacherDepth) = (headWidth, studentDepth, teacherDepth)
            options.window = window
            if Methods.named(stage) is any FollowsEncoders.Type {
                options.set.append("method.targets.widths=[\(targetWidth ?? 768)]")
            }
            guard Pipeline.stages.contains(stage) else { return }
            options.headWidth = headWidth ?? 2048
            options.studentDepth = studentDepth ?? 6
            options.window = window.isEmpty ? [0.4, 0.7] : window
            if stage == SelfGuided.name { options.teacherDepth = teacherDepth ?? 8 }
        }
        try options.time(configuration, stage: stage)
    }
}

struct BenchSampleCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sample",
        abstract: "Time whole batches of samples, each one \"step\".",
        usage: "transcend bench sample [--model <name>] [--batch <n>] [--solver-steps <n>] [<options>]")

    @OptionGroup var options: BenchOptions
    @Option(help: ArgumentHelp("Steps of Euler's method.", valueName: "n")) var solverSteps = 50
    @Option(help: ArgumentHelp("Scale of classifier-free guidance; 1: off.", valueName: "s")) var cfg = 1.9
    @Option(help: ArgumentHelp("Lowest time t at which guidance acts, 0 to 1.", valueName: "t")) var guidanceLow = 0.0
    @Option(help: ArgumentHelp("Highest time t at which guidance acts, 0 to 1.", valueName: "t"))
    var guidanceHigh = 0.65

    func run() throws {
        let guidance = Guidance(scale: cfg, low: guidanceLow, high: guidanceHigh)
        let sampler = Sampler(steps: solverSteps, guidance: guidance)
        if let problem = sampler.problem { throw ConfigurationError(problem) }
        try options.time(options.configuration(stage: Plain.name), stage: "sample", sampler: sampler)
    }
}

struct BenchLoaderCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "loader",
        abstract: "Time reading a store in shuffled order, with a thread for each core.",
        usage: "transcend bench loader --data <store> [--batch <n>] [<options>]")

    @Option(help: ArgumentHelp("A store that `transcend prepare` wrote.", valueName: "path")) var data: String
    @Option(help: ArgumentHelp("Samples that are handed out together.", valueName: "n")) var batch = 256
    @OptionGroup var count: BenchSteps

    func run() throws {
        try count.check()
        guard (1...1 << 20).contains(batch) else { throw ConfigurationError("--batch \(batch): give 1 to \(1 << 20)") }
        let store = try PackedStore(path: absolute(data))
        let threads = ProcessInfo.processInfo.activeProcessorCount
        let benchmark = try LoaderBenchmark(StoredDataset(store, draws: Draws(seed: 0)), batch: batch, threads: threads)
        let samples = try benchmark.run(steps: count.steps, warmup: count.warmup)
        print(String(format: "%.0f samples a second, %d threads", samples, threads))
    }
}

struct BenchTrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Time a training with loader, log and checkpoints against its bare step.",
        usage: "transcend bench train --stage <stage> [--preset <name>] [--data <path>] [<options>]",
        discussion: """
            It trains in a temporary folder, as `transcend train` with the same flags would, but draws no sample grids \
            unless --sample-every asks for them.
            """)

    @Option(help: ArgumentHelp("One of \(Methods.names).", valueName: "name")) var stage =
        "plain"
    @OptionGroup var start: StartOptions
    @OptionGroup var training: TrainingOptions
    @Option(help: ArgumentHelp("Steps before those that are timed. (default: 20, at most half)", valueName: "n"))
    var warmup: Int?

    func run() throws {
        var training = training
        training.sampleEvery = training.sampleEvery ?? 0
        let configuration = try start.builder(training.settings()).configuration(stage: stage)
        guard configuration.steps > 1 else { throw ConfigurationError("--steps 1: give 2 or more") }
        let warmup = warmup ?? min(20, configuration.steps / 2)
        guard (1..<configuration.steps).contains(warmup) else {
            throw ConfigurationError("--warmup \(warmup): give 1 to --steps less 1, here \(configuration.steps - 1)")
        }
        let result = try TrainingBenchmark(configuration.resolvingCheckpoints(), warmup: warmup).run()
        var table = Table(.text(""), .number("seconds a step"), .number("images a second"))
        for (name, seconds) in [("training", result.trainingSeconds), ("bare step", result.stepSeconds)] {
            let rate = Double(configuration.batch) / seconds
            table.append(name, String(format: "%.4f", seconds), String(format: "%.1f", rate))
        }
        print(table)
        let share = result.stepSeconds / result.trainingSeconds
        print(String(format: "training runs at %.3f of the speed of its step", share))
    }
}
