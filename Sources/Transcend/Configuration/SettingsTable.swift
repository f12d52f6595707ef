import Diffusion
import Models
import Torch

/// Every setting of a configuration, in the order of the tree: the source for flags, files, checks and documentation.
public enum SettingsTable {
    /// The settings of a stage; those of its method are below "method.".
    public static func settings(of method: any Method.Type) -> [SettingDescription] {
        common + method.settings.map { $0.below("method") }
    }

    /// The settings of all methods, each key once.
    public static let all: [SettingDescription] = {
        var keys: Set<String> = []
        return Methods.all.flatMap(settings).filter { keys.insert($0.key).inserted }
    }()

    static func setting(_ key: String, of method: any Method.Type) -> SettingDescription? {
        settings(of: method).first { $0.key == key }
    }

    /// The settings common to all stages.
    static let common: [SettingDescription] =
        general + data + network + diffusion + optimizer + schedule + output + preview + distributed + [
            SettingDescription(
                "method.name", .name(Methods.all.map { $0.name }),
                "What the network is trained for beside denoising; the stage of a pipeline.")
        ]

    private static let steps = AllowedValues.whole(1...TrainingConfiguration.largestStep)
    private static let stepsOrNone = AllowedValues.whole(0...TrainingConfiguration.largestStep)

    private static let general = [
        SettingDescription("batch", .whole(1...1 << 20), unit: "images", "Images in a step."),
        SettingDescription("accumulation", .whole(1...1 << 20), "Micro-batches that a batch is split into."),
        SettingDescription("steps", steps, unit: "steps", "Optimiser steps in all."),
        SettingDescription("seed", .whole(0...Int.max), "Seed of every random number."),
        SettingDescription(
            "precision", .name(of: Precision.self), "Type of matrix products."),
        SettingDescription(
            "recompute", .truth,
            "Activation checkpointing: the backward pass recomputes each block. Less memory, more time, the same bits on the CPU."
        ),
        SettingDescription("device", .text("auto, cpu, cuda or cuda:N"), "Device."),
        SettingDescription("teacher", .optional(.path(or: [])), "Checkpoint or run that selfguided follows."),
        SettingDescription(
            "initialWeights", .optional(.path(or: [])), "Checkpoint or run whose weights to start from."),
        SettingDescription(
            "initialState", .optional(.path(or: [])), "Checkpoint or run whose whole state to start from."),
    ]

    private static let data = [
        SettingDescription(
            "data.source", .path(or: [DataConfiguration.embedded]),
            "Store, folder, zip or tar of class folders, or '\(DataConfiguration.embedded)'."),
        SettingDescription(
            "data.flips", .truth, "Mirrors each image with probability 1/2, drawn anew in every epoch."),
        SettingDescription(
            "data.skipBadImages", .truth, "Leaves out images that cannot be used, and lists them."),
    ]

    private static let size = AllowedValues.whole(SiTConfiguration.sizeRange)
    private static let network = [
        SettingDescription("network.inputSize", size, unit: "pixels or latent cells", "Side of the square inputs."),
        SettingDescription(
            "network.patchSize", size, unit: "pixels or latent cells", "Side of a patch, a divisor of the input size."),
        SettingDescription("network.channels", size, "Channels of the inputs."),
        SettingDescription("network.hidden", size, "Hidden size D, a multiple of 4 and of the heads."),
        SettingDescription("network.depth", .whole(SiTConfiguration.depthRange), unit: "blocks", "Transformer blocks."),
        SettingDescription("network.heads", size, "Attention heads of a block."),
        SettingDescription("network.classes", size, "Classes of the data; with `data.source` given, they are counted."),
        SettingDescription("network.qkNorm", .truth, "LayerNorm on queries and keys, per head."),
        SettingDescription(
            "network.mlpRatio", .number(.above(0, to: SiTConfiguration.largestMLPRatio)),
            "Width of a block's MLP over D."),
    ]

    private static let diffusion = [
        SettingDescription("diffusion.path", .name(of: ProbabilityPath.self), "How data and noise are mixed."),
        SettingDescription(
            "diffusion.timeSampling", .name(of: TimeSampling.self), "How the times t of training are drawn."),
        SettingDescription(
            "diffusion.labelDrop", .number(NumberRange(0...1)),
            "Probability that the network sees the null class instead of the label."),
    ]

    private static let optimizer = [
        SettingDescription(
            "optimizer.adamW.beta1", .number(NumberRange(0..<1)), "Decay of the first moments of AdamW."),
        SettingDescription(
            "optimizer.adamW.beta2", .number(NumberRange(0..<1)),
            "Decay of the second moments of AdamW; 0.95 helps short runs."),
        SettingDescription(
            "optimizer.adamW.epsilon", .number(.above(0)), "Added to the root of the second moments."),
        SettingDescription(
            "optimizer.adamW.weightDecay", .number(NumberRange(0...)),
            "Decoupled decay of every trained parameter, in units of the learning rate."),
        SettingDescription(
            "optimizer.maximumGradientNorm", .number(NumberRange(0...)),
            "Largest norm of all gradients together; 0 switches clipping off."),
        SettingDescription("optimizer.emaDecay", .number(NumberRange(0..<1)), "Decay of the averaged weights."),
        SettingDescription(
            "optimizer.skipNonfinite", stepsOrNone, unit: "steps",
            "Non-finite steps in a row to skip."),
    ]

    private static let schedule = [
        SettingDescription("schedule.learningRate", .number(.above(0)), "Learning rate of AdamW."),
        SettingDescription(
            "schedule.warmupSteps", stepsOrNone, unit: "steps", "Steps over which the rate rises linearly from 0."),
        SettingDescription(
            "schedule.decay", .name(of: ScheduleConfiguration.Decay.self),
            "What follows the warm-up: the rate stays, or falls along half a cosine to 0 at the last step."),
    ]

    private static let output = [
        SettingDescription("output.checkpointEvery", steps, unit: "steps", "Steps between checkpoints."),
        SettingDescription(
            "output.keepCheckpoints", .whole(0...Int.max), "The newest checkpoints that stay; 0 keeps all of them."),
        SettingDescription(
            "output.keepEvery", stepsOrNone, unit: "steps",
            "Checkpoints at multiples of this many steps stay too; 0: none."),
        SettingDescription("output.sampleEvery", stepsOrNone, unit: "steps", "Steps between sample grids, 0: none."),
        SettingDescription("output.logEvery", steps, unit: "steps", "Steps between lines of `metrics.jsonl`."),
        SettingDescription(
            "output.lossRiseFactor", .zero(or: .above(1)),
            "A smoothed loss above its minimum by this factor gives a warning; 0: none."),
    ]

    private static let distributed = [
        SettingDescription(
            "distributed.timeoutSeconds", .number(NumberRange(1...86400)), unit: "s",
            "The run ends when a rank gives no sign of life for so long, at the start or later."),
        SettingDescription(
            "distributed.spreadState", .truth,
            "Shards averages and moments over the ranks, which divides their memory."),
        SettingDescription(
            "distributed.bucketMegabytes", .whole(1...4096), unit: "MiB", "Gradients go out in parts of this size."),
    ]

    private static let preview = [
        SettingDescription(
            "preview.classes", .whole(0...1024), "Classes in the sample grids, from the first; one row each."),
        SettingDescription("preview.perClass", .whole(0...1024), unit: "images", "Samples of each class."),
        SettingDescription(
            "preview.autoencoder", .optional(.path(or: [])),
            "Autoencoder, a folder or file, that decodes latents."),
        SettingDescription("preview.sampler.mode", .name(of: Sampler.Mode.self), "How samples are made from noise."),
        SettingDescription("preview.sampler.steps", .whole(Sampler.stepRange), unit: "steps", "Steps of the solver."),
        SettingDescription(
            "preview.sampler.guidance.scale", .number(Guidance.scaleRange),
            "Scale of classifier-free guidance; 1 switches it off."),
        SettingDescription(
            "preview.sampler.guidance.low", .number(NumberRange(0...1)), unit: "t",
            "Lowest time at which guidance acts."),
        SettingDescription(
            "preview.sampler.guidance.high", .number(NumberRange(0...1)), unit: "t",
            "Highest time at which guidance acts."),
        SettingDescription(
            "preview.sampler.guidance.channels", .optional(.whole(1...Int.max)),
            "Only the first channels are guided; null: all."),
    ]
}
