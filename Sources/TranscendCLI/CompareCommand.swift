import ArgumentParser
import Foundation
import Transcend

struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Train variants of one training and hold them against each other, on one page.",
        usage: "transcend compare <config> --out <folder> [--dry-run]",
        discussion: """
            A YAML file names what all variants share, what each has of its own, the seeds, and how they are measured; \
            README.md explains one. All runs are trained one after another, each is measured then, and the page grows \
            with them. The same command continues what was stopped. A TorchScript module is executed: name only \
            extractors that you trust.
            """)

    @Argument(help: ArgumentHelp("The variants, in YAML.", valueName: "config"))
    var config: String
    @Option(help: ArgumentHelp("Folder of the runs and the page; the same command continues it.", valueName: "folder"))
    var out: String?
    @Flag(help: "Print what would be trained and what it would cost, and stop.")
    var dryRun = false

    func run() throws {
        guard try Launch() == nil else {
            throw ConfigurationError(
                "compare: it runs as one process; start it alone, without torchrun, srun or mpirun")
        }
        let configuration = try ComparisonConfiguration(path: absolute(config))
        if dryRun {
            printCosts(of: configuration)
            for variant in configuration.variants { try Trainer.checkMemory(variant.configuration, launch: nil) }
            return
        }
        guard let out else { throw ConfigurationError("--out: give the folder of the comparison") }
        let comparison = try Comparison(configuration, path: absolute(out))
        let progress = MeasuringProgress()
        let outcome = try comparison.run { event in
            if case .measuring(let measured) = event { return progress.update(measured) }
            progress.finish()
            switch event {
            case .run(let number, let count, let seed, let variant):
                say("\(number) of \(count): seed \(seed), \(variant)")
            case .warning(let warning): say("warning: \(warning)")
            case .measuring: break
            }
        }
        progress.finish()
        switch outcome {
        case .finished(let summary):
            for table in summary.tables { print("\(table)\n") }
            print(comparison.pagePath)
        case .interrupted(let run, let step):
            say("stopped at step \(step); the same command continues from \(try Checkpoint(run).path)")
            throw ExitCode(Interruption.status)
        }
    }

    private func printCosts(of configuration: ComparisonConfiguration) {
        var table = Table(
            .text("variant"), .text("stage"), .text("teacher"), .number("trained parameters"),
            .number("FLOPs per image and step"), .number("relative"), .number("memory of weights and optimiser"))
        let costs = configuration.variants.map { CostEstimate($0.configuration) }
        let base = costs[configuration.baseline].stepFLOPs
        for (variant, cost) in zip(configuration.variants, costs) {
            table.append(
                variant.name, variant.configuration.method.name,
                variant.teacher ?? variant.configuration.teacher ?? "",
                readableCount(cost.networkParameters + cost.headParameters), readableFLOPs(cost.stepFLOPs),
                String(format: "%.2f", cost.stepFLOPs / base), readableBytes(cost.stateBytes))
        }
        let (first, evaluation) = (configuration.variants[0].configuration, configuration.evaluation)
        let runs = configuration.variants.count * configuration.seeds.count
        let measured = (first.steps + evaluation.every - 1) / evaluation.every
        print(table)
        print(
            "\(runs) runs of \(first.steps) steps of \(first.batch) images, in this order for each seed: "
                + configuration.order.map { configuration.variants[$0].name }.joined(separator: ", "))
        print("\(measured) checkpoints of each are measured, with \(evaluation.count) samples")
    }
}
