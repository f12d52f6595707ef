import Data
import Diffusion
import Foundation
import Torch

/// The user's settings for sampling, besides number and labels.
public struct SamplingSettings: Sendable {
    /// The kind of weights, EMA or raw.
    public var weights = NetworkWeights.ema
    /// The solver, number of steps and guidance.
    public var sampler = Sampler(mode: .ode, steps: 50, guidance: Guidance(scale: 2))
    /// The seed of the initial noise and of the solver's noise.
    public var seed: UInt64 = 0
    /// The precision of matrix products.
    public var precision = Precision.f32
    /// The path of the autoencoder that decodes latents; nil for the one that the checkpoint names.
    public var autoencoder: String?
    /// The device to compute on: auto, cpu, cuda or cuda:N.
    public var device = "auto"

    /// Creates the defaults: EMA weights, 50 steps of the ODE, guidance 2.
    public init() {}
}

/// Samples to be drawn from a checkpoint.
public struct SamplingJob: Sendable {
    /// Everything that decides the pictures.
    public let stamp: SampleStamp
    /// The label of each sample.
    public let labels: SampleLabels
    /// The classes of the checkpoint.
    public let classNames: [String]
    /// The reason why the pictures may look wrong, in one sentence; nil if there is none.
    public let warning: String?

    private let generator: SampleGenerator
    private let decoder: PictureDecoder

    /// Loads the network, and the autoencoder if it generates latents. `labels` and `count` are as in `SampleLabels`.
    /// Throws a `ConfigurationError` if the settings do not fit the checkpoint, and any file error.
    public init(
        _ checkpoint: Checkpoint, _ settings: SamplingSettings, labels requested: [String], count: Int?
    ) throws {
        let state = checkpoint.state
        let (network, path) = (state.configuration.network, state.configuration.diffusion.path)
        if let problem = settings.sampler.problem { throw ConfigurationError(problem) }
        if let channels = settings.sampler.guidance.channels, channels > network.channels {
            throw ConfigurationError(
                "--guidance-channels \(channels): the network has \(network.channels) channels")
        }
        classNames = state.classNames
        labels = try SampleLabels(requested, count: count, classNames: classNames, seed: settings.seed)
        let device = chooseDevice(settings.device)
        decoder = try PictureDecoder(
            channels: network.channels, latents: state.latents,
            autoencoder: settings.autoencoder ?? state.configuration.preview.autoencoder, on: device)
        warning = decoder.warning
        generator = SampleGenerator(
            network: try checkpoint.network(settings.weights, on: device), path: path, sampler: settings.sampler,
            seed: settings.seed)
        stamp = SampleStamp(
            samples: labels.labels.count, labels: labels.rule, sampler: settings.sampler, seed: settings.seed,
            precision: settings.precision, decoder: decoder.identity,
            checkpoint: checkpoint.checksum(of: settings.weights), step: state.step, weights: settings.weights)
    }

    /// Draws the samples from index `first` on, in batches. A sample depends on its index, but its last bits depend on
    /// its batch: if `first` is a multiple of `SampleGenerator.batch`, the pictures are bit-identical to those of a
    /// call that begins at 0, on any number of ranks. Of n ranks each draws every n-th batch and receives all.
    public func draw(
        from first: Int = 0, in world: World = .alone, receive: (_ images: [RGBImage]) throws -> Void
    ) throws {
        let stride = SampleGenerator.batch * world.size
        for start in Swift.stride(from: first, to: stamp.samples, by: stride) {
            try receive(round(from: start, in: world))
        }
    }

    /// The batches of all ranks, the first of which begins with sample `first`.
    func round(from first: Int, in world: World) throws -> [RGBImage] {
        let own = first + SampleGenerator.batch * world.rank
        var images: [RGBImage] = []
        if own < stamp.samples {
            let end = min(own + SampleGenerator.batch, stamp.samples)
            try Precision.$current.withValue(stamp.precision) {
                try generator.pictures(
                    labels: Array(labels.labels[..<end]), from: own, decoder: decoder,
                    progress: { _ in world.watch?.tick() }, receive: { images += $0 })
            }
        }
        if world.size == 1 { return images }
        let size = try world.sum(world.isFirst ? [Double(images[0].width), Double(images[0].height)] : [0, 0])
        let (width, height) = (Int(size[0]), Int(size[1]))
        let count = 3 * width * height
        return try world.gather(images.flatMap(\.pixels)).flatMap { bytes in
            stride(from: 0, to: bytes.count, by: count).map {
                RGBImage(width: width, height: height, pixels: Array(bytes[$0..<$0 + count]))
            }
        }
    }

    /// Draws the samples that the outputs do not have yet, and completes them; of several ranks the first has outputs.
    /// `progress` is called with the number of samples so far.
    public func draw(
        to outputs: [SampleOutput], in world: World = .alone, progress: (_ done: Int) -> Void = { _ in }
    ) throws {
        try world.agree(on: [("the samples", stamp.json.text())], topic: "samples")
        let done = Int(try world.sum([world.isFirst ? Double(outputs.map(\.count).min() ?? 0) : 0])[0])
        if done < stamp.samples {
            var next = done - done % SampleGenerator.batch
            try draw(from: next, in: world) { images in
                for output in outputs { try output.append(images, from: next) }
                next += images.count
                progress(next)
            }
        }
        for output in outputs { try output.finish() }
    }
}
