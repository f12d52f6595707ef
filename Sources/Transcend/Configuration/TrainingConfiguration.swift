import Diffusion
import Formats
import Foundation
import Models
import Torch

/// Everything that decides what a training run computes and writes: one tree, stored with the run as `config.json`.
public struct TrainingConfiguration: Codable, Sendable, Equatable {
    /// What is learnt from.
    public var data = DataConfiguration()
    /// What learns; its input size, channels and classes are those of the data.
    public var network = SiTConfiguration()
    /// How data and noise are mixed.
    public var diffusion = DiffusionConfiguration()
    /// What the network is trained for beside denoising.
    public var method: MethodConfiguration
    /// How gradients become updates.
    public var optimizer = OptimizerConfiguration()
    /// The learning rate by step.
    public var schedule = ScheduleConfiguration()
    /// Images in one optimiser step, over all micro-batches.
    public var batch = 256
    /// Micro-batches that a batch is split into, to save memory.
    public var accumulation = 1
    /// Optimiser steps in all.
    public var steps = 400_000
    /// Where every random number comes from.
    public var seed: UInt64 = 0
    /// The number type of the products: f32 or bf16.
    public var precision = Precision.f32
    /// Whether the backward pass computes what is inside blocks anew instead of keeping it.
    public var recompute = false
    /// "auto", "cpu", "cuda" or "cuda:N".
    public var device = "auto"
    /// The checkpoint that the method follows; null where it needs none. In a pipeline: the first stage's last.
    @Nullable public var teacher: String?
    /// The checkpoint whose weights the network starts from.
    @Nullable public var initialWeights: String?
    /// The checkpoint whose whole state the run starts from: weights, head, averages, moments and step.
    @Nullable public var initialState: String?
    /// What is written, and how often.
    public var output = OutputConfiguration()
    /// The sample grids that are drawn as training goes.
    public var preview = PreviewConfiguration()
    /// What several processes do together.
    public var distributed = DistributedConfiguration()

    /// Defaults around a method.
    public init(method: MethodConfiguration) {
        self.method = method
    }

    /// The defaults of a stage, those of its method for a network.
    init(defaultsOf method: any Method.Type, for network: SiTConfiguration, reading: Reading = .paper) {
        self.init(method: MethodConfiguration(method.init(defaultsFor: network, reading: reading)))
    }

    /// Runs `body` with the precision of the products and the recomputation that it names.
    func computing<Result>(_ body: () throws -> Result) rethrows -> Result {
        try Precision.$current.withValue(precision) { try Recomputation.$isOn.withValue(recompute, operation: body) }
    }

    /// From what a run or checkpoint stored. A setting that it lacks, since it was written before there was such a one, has
    /// its default; one that this program does not know is an error.
    init(stored: JSONValue) throws {
        guard let name = stored["method"]?["name"]?.string, let method = Methods.named(name) else {
            throw ConfigurationError("method.name: it has no method that this program knows")
        }
        let leaves = ConfigurationTree.flattened(stored)
        if let (key, _) = leaves.first(where: { SettingsTable.setting($0.key, of: method) == nil }) {
            throw ConfigurationError("it holds the setting \(key), so it was written by a newer version")
        }
        func completed(_ defaults: TrainingConfiguration) throws -> TrainingConfiguration {
            var tree = try ConfigurationTree.tree(of: defaults)
            for (key, value) in leaves { tree = ConfigurationTree.replacing(key, by: value, in: tree) }
            return try ConfigurationTree.decode(TrainingConfiguration.self, from: tree)
        }
        let network = try completed(TrainingConfiguration(defaultsOf: method, for: SiTConfiguration())).network
        if let problem = network.problem { throw ConfigurationError(problem) }
        self = try completed(TrainingConfiguration(defaultsOf: method, for: network))
    }

    /// From a run's `config.json`.
    init(storedAt path: String) throws {
        do {
            try self.init(stored: JSONValue.read(path: path))
        } catch let error as ConfigurationError {
            throw FileError(path, "cannot be understood (\(error))")
        } catch var error as FileError where error.remedy.isEmpty {
            error.remedy = "copy it again; the state.json of a checkpoint holds the same settings"
            throw error
        }
    }
}

/// Where images come from, and what is done to them.
public struct DataConfiguration: Codable, Sendable, Equatable {
    /// The name of the embedded data set.
    public static let embedded = "pictures"

    /// A store, a folder, zip or tar of class folders, latents in a published layout, or "pictures": the embedded data set.
    public var source = Self.embedded
    /// Leaves out images that cannot be used and lists them, instead of stopping at the first.
    public var skipBadImages = false
    /// Mirrors each image with probability 1/2, drawn anew in every epoch.
    public var flips = false

    /// The embedded pictures, none mirrored.
    public init() {}
}

/// The path from data to noise and what is drawn along it.
public struct DiffusionConfiguration: Codable, Sendable, Equatable {
    /// The path from data to noise.
    public var path = ProbabilityPath.linear
    /// How the times of a batch are drawn.
    public var timeSampling = TimeSampling.uniform
    /// Probability that the network sees the null class instead of the label.
    public var labelDrop = 0.1

    /// As published: linear, uniform, a label in ten dropped.
    public init() {}
}

/// The learning rate: a warm-up, then constant or falling.
public struct ScheduleConfiguration: Codable, Sendable, Equatable {
    /// What follows the warm-up.
    public enum Decay: String, Codable, Sendable, CaseIterable {
        /// The rate stays.
        case constant
        /// Falls along half a cosine to 0 at the last step.
        case cosine
    }

    /// The rate after the warm-up; the published one is 1e-4.
    public var learningRate = 1e-4
    /// Steps over which the rate rises linearly from 0.
    public var warmupSteps = 0
    /// constant or cosine.
    public var decay = Decay.constant

    /// As published: 1e-4 throughout.
    public init() {}

    /// The rate of a step (counted from 0) of a run of `steps`.
    public func learningRate(at step: Int, of steps: Int) -> Double {
        if step < warmupSteps { return learningRate * Double(step + 1) / Double(warmupSteps) }
        switch decay {
        case .constant: return learningRate
        case .cosine:
            let done = Double(step - warmupSteps) / Double(max(1, steps - warmupSteps))
            return learningRate * 0.5 * (1 + cos(.pi * min(1, done)))
        }
    }
}

/// What a run writes, in steps.
public struct OutputConfiguration: Codable, Sendable, Equatable {
    /// There is one at the end in any case.
    public var checkpointEvery = 5_000
    /// The newest checkpoints stay; 0 keeps all of them.
    public var keepCheckpoints = 3
    /// Checkpoints at multiples of this many steps stay too; 0: none.
    public var keepEvery = 0
    /// Sample grids; 0 switches them off.
    public var sampleEvery = 5_000
    /// Lines of `metrics.jsonl`.
    public var logEvery = 10
    /// A warning is given when a loss, averaged over 100 steps, exceeds its minimum so far by this factor; 0: none.
    public var lossRiseFactor = 2.0

    /// What is written where nothing else is said.
    public init() {}
}

/// How several processes train together; of no effect for one that is alone.
public struct DistributedConfiguration: Codable, Sendable, Equatable {
    /// A rank that does not come, answer or get on for so many seconds ends the run.
    public var timeoutSeconds = 300.0
    /// Spreads averages and moments over the ranks, which divides their memory and the time of their update.
    public var spreadState = false
    /// Gradients go out in parts of this size, in MiB.
    public var bucketMegabytes = 25

    /// As PyTorch's DistributedDataParallel, but for the time.
    public init() {}
}

/// The sample grids that are drawn from the averaged weights as training goes.
public struct PreviewConfiguration: Codable, Sendable, Equatable {
    /// Classes in the grid, from the first; one row each.
    public var classes = 10
    /// Samples of each class.
    public var perClass = 8
    /// Folder or file of the autoencoder that decodes samples of latents, also those of `sample`; null: none.
    @Nullable public var autoencoder: String?
    /// A quick one, since it runs in the middle of training.
    public var sampler = Sampler(mode: .ode, steps: 20, guidance: Guidance(scale: 2))

    /// Ten rows of eight.
    public init() {}
}
