import Diffusion
import Formats
import Foundation
import Models
import Torch

/// Everything that decides what a training run computes and writes: one tree, stored with the run as `config.json`.
public struct TrainingConfiguration: Codable, Sendable, Equatable {
    /// The training data.
    public var data = DataConfiguration()
    /// The network; its input size, channels and classes are determined by the data.
    public var network = SiTConfiguration()
    /// The diffusion process: path, times and label dropout.
    public var diffusion = DiffusionConfiguration()
    /// The method: the training objective beside denoising.
    public var method: MethodConfiguration
    /// The optimiser.
    public var optimizer = OptimizerConfiguration()
    /// The learning rate schedule.
    public var schedule = ScheduleConfiguration()
    /// The batch size: images per optimiser step, over all micro-batches.
    public var batch = 256
    /// The number of micro-batches that a batch is split into, to save memory.
    public var accumulation = 1
    /// The total number of optimiser steps.
    public var steps = 400_000
    /// The seed of all random numbers.
    public var seed: UInt64 = 0
    /// The precision of matrix products: f32 or bf16.
    public var precision = Precision.f32
    /// Whether to use activation checkpointing: the backward pass recomputes the activations inside blocks instead of
    /// keeping them.
    public var recompute = false
    /// The device: "auto", "cpu", "cuda" or "cuda:N".
    public var device = "auto"
    /// The checkpoint that the method follows; null if it needs none. In a pipeline: the last one of the first stage.
    @Nullable public var teacher: String?
    /// The checkpoint whose weights the network starts from.
    @Nullable public var initialWeights: String?
    /// The checkpoint whose whole state the run starts from: weights, head, averages, moments and step.
    @Nullable public var initialState: String?
    /// The files that are written, and how often.
    public var output = OutputConfiguration()
    /// The sample grids drawn during training.
    public var preview = PreviewConfiguration()
    /// The settings for several processes.
    public var distributed = DistributedConfiguration()

    /// Creates the defaults with a method.
    public init(method: MethodConfiguration) {
        self.method = method
    }

    /// Creates the defaults of a stage, with its method's defaults for a network.
    init(defaultsOf method: any Method.Type, for network: SiTConfiguration, reading: Reading = .paper) {
        self.init(method: MethodConfiguration(method.init(defaultsFor: network, reading: reading)))
    }

    /// Runs `body` with the configured precision and recomputation.
    func computing<Result>(_ body: () throws -> Result) rethrows -> Result {
        try Precision.$current.withValue(precision) { try Recomputation.$isOn.withValue(recompute, operation: body) }
    }

    /// Reads what a run or checkpoint stored. A missing setting, which did not exist yet when it was written, gets its
    /// default; an unknown one is an error.
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

    /// Reads a run's `config.json`.
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

/// The source and processing of the images.
public struct DataConfiguration: Codable, Sendable, Equatable {
    /// The name of the embedded data set.
    public static let embedded = "pictures"

    /// The source: a store; a folder, zip or tar of class folders; latents in a published layout; or "pictures", the
    /// embedded data set.
    public var source = Self.embedded
    /// Whether to leave out and list unusable images instead of stopping at the first.
    public var skipBadImages = false
    /// Whether to mirror each image with probability 1/2, drawn again in every epoch.
    public var flips = false

    /// Creates the default: the embedded pictures, not mirrored.
    public init() {}
}

/// The diffusion process: path, distribution of times and label dropout.
public struct DiffusionConfiguration: Codable, Sendable, Equatable {
    /// The path from data to noise.
    public var path = ProbabilityPath.linear
    /// How the times of a batch are drawn.
    public var timeSampling = TimeSampling.uniform
    /// The probability that the network sees the null class instead of the label.
    public var labelDrop = 0.1

    /// Creates the published settings: linear path, uniform times, one label in ten dropped.
    public init() {}
}

/// The learning rate schedule: a warm-up, then constant or decaying.
public struct ScheduleConfiguration: Codable, Sendable, Equatable {
    /// The schedule after the warm-up.
    public enum Decay: String, Codable, Sendable, CaseIterable {
        /// The learning rate stays constant.
        case constant
        /// The learning rate decays along a half cosine to 0 at the last step.
        case cosine
    }

    /// The peak learning rate; the published one is 1e-4.
    public var learningRate = 1e-4
    /// The number of warm-up steps, over which the learning rate rises linearly from 0.
    public var warmupSteps = 0
    /// The decay after the warm-up: constant or cosine.
    public var decay = Decay.constant

    /// Creates the published schedule: 1e-4 throughout.
    public init() {}

    /// The learning rate at a step (counted from 0) of a run of `steps`.
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

/// The output of a run; intervals are in steps.
public struct OutputConfiguration: Codable, Sendable, Equatable {
    /// The interval between checkpoints; there is always one at the end.
    public var checkpointEvery = 5_000
    /// The number of newest checkpoints to keep; 0 keeps all.
    public var keepCheckpoints = 3
    /// The interval of checkpoints to keep permanently; 0 for none.
    public var keepEvery = 0
    /// The interval between sample grids; 0 switches them off.
    public var sampleEvery = 5_000
    /// The interval between lines of `metrics.jsonl`.
    public var logEvery = 10
    /// The factor by which a loss, averaged over 100 steps, must exceed its minimum so far for a warning; 0 for no
    /// warnings.
    public var lossRiseFactor = 2.0

    /// Creates the defaults.
    public init() {}
}

/// The settings for several processes; they have no effect on a single one.
public struct DistributedConfiguration: Codable, Sendable, Equatable {
    /// The seconds after which a rank that is missing, silent or stuck ends the run.
    public var timeoutSeconds = 300.0
    /// Whether to shard averages and moments over the ranks, which divides their memory and the time of their update.
    public var spreadState = false
    /// The size of gradient buckets in MiB.
    public var bucketMegabytes = 25

    /// Creates the defaults of PyTorch's DistributedDataParallel, except for the timeout.
    public init() {}
}

/// The sample grids drawn from the EMA weights during training.
public struct PreviewConfiguration: Codable, Sendable, Equatable {
    /// The number of classes in the grid, from the first one; one row each.
    public var classes = 10
    /// The number of samples per class.
    public var perClass = 8
    /// The folder or file of the autoencoder that decodes samples of latents, also for `sample`; null for none.
    @Nullable public var autoencoder: String?
    /// The sampler, a quick one by default, since it runs in the middle of training.
    public var sampler = Sampler(mode: .ode, steps: 20, guidance: Guidance(scale: 2))

    /// Creates the default grid: ten rows of eight.
    public init() {}
}
