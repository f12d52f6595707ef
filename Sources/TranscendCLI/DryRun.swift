import Foundation
import Transcend

/// What a run would do and cost.
enum DryRun {
    static func print(_ configuration: TrainingConfiguration) {
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
    }
}
