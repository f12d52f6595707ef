import Foundation
import Torch

/// The pictures, labels and draws of one training step.
public struct LoadedBatch<BatchDraws: Sendable>: Sendable {
    /// The training step, counted from 0.
    public var step: Int
    /// The pictures [B, C, R, R] in [-1, 1], where B is the number of positions.
    public var images: [Float]
    /// The labels [B].
    public var labels: [Int]
    /// The features [B, tokens, width] of each requested encoder; those of the mirror image where the picture is
    /// mirrored.
    public var features: [[Float]]
    /// The draws that the closure returned for this step.
    public var draws: BatchDraws
}

/// The settings of a loader.
public struct LoaderSettings: Sendable {
    /// The size B of the global batch.
    public var batchSize: Int
    /// The positions of the global batch to load; the others belong to other processes or micro-batches.
    public var positions: Range<Int>
    /// Whether pictures are mirrored at random, with probability one half; off by default.
    public var flips = false
    /// The encoders whose features are loaded, as indices into the data set's `features`.
    public var features: [Int] = []
    /// The step from which on no features are loaded.
    public var featuresStop = Int.max
    /// The step of the first batch.
    public var firstStep = 0
    /// The number of batches prepared in advance.
    public var ahead = 3
    /// The number of threads that prepare batches.
    public var threads = 1

    /// Creates settings for all positions of batches of `batchSize`.
    public init(batchSize: Int) {
        precondition(batchSize > 0)
        self.batchSize = batchSize
        positions = 0..<batchSize
    }
}

/// Prepares the batches of a training run in advance, in background threads.
///
/// Batch contents are functions of dataset, draws and step, so neither the number of threads nor the step at which a
/// loader starts changes them. The threads wait without spinning while enough batches are ready.
public final class Loader<BatchDraws: Sendable>: Sendable {
    private let queue: StepQueue<LoadedBatch<BatchDraws>>

    /// Starts loading.
    ///
    /// - Parameters:
    ///   - dataset: the source of the pictures.
    ///   - draws: decides the order of each epoch and the flips.
    ///   - settings: batch size, positions, first step, threads.
    ///   - makeDraws: called on a loader's thread with the step of each batch, for the other draws of the step.
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

    /// The next batch, as soon as it is ready; throws the error that kept it from being made, or `LoaderStopped`.
    ///
    /// After an error the loader is stopped.
    public func next() throws -> LoadedBatch<BatchDraws> { try queue.next() }

    /// Stops the threads and waits for them; further calls of `next()` throw.
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
