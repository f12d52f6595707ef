import Foundation
import Transcend

/// Prints what a run would do and cost.
enum DryRun {
    /// Prints it for each stage, and throws then where the run itself would for lack of memory. With processes started
    /// together rank 0 prints for all of them.
    static func print(_ configurations: [TrainingConfiguration]) throws {
        let launch = try Launch()
        if let launch {
            for configuration in configurations { try configuration.checkShares(of: launch.size) }
            guard launch.rank == 0 else { return }
        }
        for configuration in configurations { try print(configuration, launch) }
        for configuration in configurations { try Trainer.checkMemory(configuration, launch: launch) }
    }

    private static func print(_ configuration: TrainingConfiguration, _ launch: Launch?) throws {
        let cost = CostEstimate(configuration)
        Swift.print(configuration.text)
        var table = Table(.text(configuration.method.name), .number(""))
        table.append("parameters of the network", readableCount(cost.networkParameters))
        if cost.headParameters > 0 { table.append("parameters of the head", readableCount(cost.headParameters)) }
        if cost.teacherParameters > 0 {
            table.append("parameters of the teacher", readableCount(cost.teacherParameters))
        }
        table.append("FLOPs per image, forward", readableFLOPs(cost.forwardFLOPs))
        table.append("FLOPs per image, training step", readableFLOPs(cost.stepFLOPs))
        table.append("images in all", readableCount(configuration.steps * configuration.batch))
        table.append("memory of weights and optimiser", readableBytes(cost.stateBytes))
        table.append("memory of activations, about", readableBytes(cost.activationBytes))
        Swift.print(table)
        if let launch { Swift.print(try ranks(of: launch, configuration, cost)) }
    }

    /// Describes the work of each process, as far as this one can know: all hosts are assumed to be alike.
    private static func ranks(of launch: Launch, _ c: TrainingConfiguration, _ cost: CostEstimate) throws -> Table {
        var table = Table(
            .number("rank"), .text("device"), .text("images of a step"), .number("micro-batches"),
            .number("sent in a step"), .number("memory of weights and optimiser"), .number("of activations"))
        for rank in 0..<launch.size {
            let device = try launch.device(named: c.device, ofProcess: rank % launch.localSize)
            let share = Launch.share(of: c.batch, rank: rank, size: launch.size)
            table.append(
                String(rank), device.description, "\(share.lowerBound) to \(share.upperBound - 1)",
                String(c.accumulation),
                readableBytes(cost.bytesSent(ranks: launch.size, isSpread: c.distributed.spreadState)),
                readableBytes(cost.stateBytes(ranks: launch.size, isSpread: c.distributed.spreadState)),
                readableBytes(cost.activationBytes / launch.size))
        }
        return table
    }
}
