import Foundation
import Torch

/// The pictures, labels and draws of one training step.
public struct LoadedBatch<BatchDraws: Sendable>: Sendable {
    /// The training step, counted from 0.
    public var step: Int
    /// [B, C, R, R] in [-1, 1], B the number of positions.
    public var images: [Float]
    /// [B].
    public var labels: [Int]
    /// Of each encoder that was asked for, [B, tokens, width]; those of mirror images where the picture is mirrored.
    public var features: [[Float]]
    /// What the closure gave for this step.
    public var draws: BatchDraws
}

/// What a loader is to load.
public struct LoaderSettings: Sendable {
    /// The size B of the global batch.
    public var batchSize: Int
    /// Which positions of the global batch are loaded; others are for other processes or micro-batches.
    public var positions: Range<Int>
    /// Whether pictures are mirrored at random, half of them; off by default.
    public var flips = false
    /// The encoders whose features are loaded, by their places in the data set's.
    public var features: [Int] = []
    /// From this step on no features are loaded.
    public var featuresStop = Int.max
    /// The step of the first batch.
    public var firstStep = 0
    /// How many batches are prepared before they are asked for.
    public var ahead = 3
    /// How many threads prepare them.
    public var threads = 1

    /// All positions of batches of `batchSize`.
    public init(batchSize: Int) {
        precondition(batchSize > 0)
        self.batchSize = batchSize
        positions = 0..<batchSize
    }
}

/// Prepares the batches of a training run ahead of it, in background threads.
///
/// Batch contents are functions of dataset, draws and step, so that neither the number of threads nor the step at which a
/// loader starts changes them. The threads wait without spinning while enough batches are ready.
public final class Loader<BatchDraws: Sendable>: Sendable {
    private let queue: StepQueue<LoadedBatch<BatchDraws>>

    /// Starts loading.
    ///
    /// - Parameters:
    ///   - dataset: where the pictures come from.
    ///   - draws: decides the order of each epoch and the flips.
    ///   - settings: batch size, positions, first step, threads.
    ///   - makeDraws: called on a loader's thread with the step of each batch, for the other draws that it needs.
    public init(
        dataset: any Dataset, draws: Draws, settings: LoaderSettings,
        makeDraws: @escaping @Sendable (_ step: Int) throws -> BatchDraws
    ) {
        precondition(settings.positions.lowerBound >= 0 && settings.positions.upperBound <= settings.batchSize)
        let order = EpochOrder(draws: draws, count: dataset.count)
        queue = StepQueue(firstStep: settings.firstStep, ahead: settings.ahead, threads: settings.threads) { step in
            let start = step * settings.batchSize
            let samples = order.samples(
                start + settings.positions.lowerBound..<start + settings.positions.upperBound)
            let mirrored = samples.map { settings.flips && Self.isMirrored($0, draws) }
            let encoders = step < settings.featuresStop ? settings.features : []
            return LoadedBatch(
                step: step,
                images: try Self.images(samples, mirrored, of: dataset),
                labels: samples.map { dataset.label($0.index) },
                features: try encoders.map { try Self.features(samples, mirrored, by: $0, of: dataset) },
                draws: try makeDraws(step))
        }
    }

    /// The next batch, as soon as it is ready; throws what kept it from being made, or `LoaderStopped`.
    ///
    /// After an error the loader is stopped.
    public func next() throws -> LoadedBatch<BatchDraws> { try queue.next() }

    /// Ends the threads and waits for them; further calls of `next()` throw.
    public func stop() { queue.stop() }

    private static func isMirrored(_ sample: EpochOrder.Sample, _ draws: Draws) -> Bool {
        draws.uniforms(.flip, step: sample.epoch, item: sample.index, count: 1)[0] < 0.5
    }

    private static func images(
        _ samples: [EpochOrder.Sample], _ mirrored: [Bool], of dataset: any Dataset
    ) throws -> [Float] {
        try gathered(samples.count, size: dataset.elementsPerSample) { place, image in
            let sample = samples[place]
            try dataset.copyImage(sample.index, epoch: sample.epoch, into: image, mirrored: mirrored[place])
        }
    }

    private static func features(
        _ samples: [EpochOrder.Sample], _ mirrored: [Bool], by encoder: Int, of dataset: any Dataset
    ) throws -> [Float] {
        try gathered(samples.count, size: dataset.features[encoder].elementCount) { place, numbers in
            try dataset.copyFeatures(samples[place].index, of: encoder, mirrored: mirrored[place], into: numbers)
        }
    }
}
