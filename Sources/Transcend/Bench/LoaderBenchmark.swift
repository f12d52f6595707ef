import Data
import Torch

/// Measures how many samples of a data set a loader delivers: batches in shuffled order, as in training, without a
/// network.
public struct LoaderBenchmark {
    private let dataset: any Dataset
    private let settings: LoaderSettings

    /// Creates a benchmark with batches of `batch` samples; `threads` read and decode, at most two batches each in
    /// advance. Throws a `ConfigurationError` if memory is insufficient.
    public init(_ dataset: any Dataset, batch: Int, threads: Int) throws {
        self.dataset = dataset
        var settings = LoaderSettings(batchSize: batch)
        settings.threads = threads
        settings.ahead = 2 * threads
        try ProcessMemory.check(
            arrays: settings.ahead + 1, ofBatch: batch, elementsPerSample: dataset.elementsPerSample)
        self.settings = settings
    }

    /// The samples per second over `steps` batches, after `warmup` others; throws if a sample cannot be read.
    public func run(steps: Int, warmup: Int) throws -> Double {
        let loader = Loader(dataset: dataset, draws: Draws(seed: 0), settings: settings) { _ in }
        defer { loader.stop() }
        for _ in 0..<warmup { _ = try loader.next() }
        let start = ProgressLine.monotonicSeconds()
        for _ in 0..<steps { _ = try loader.next() }
        return Double(steps * settings.batchSize) / (ProgressLine.monotonicSeconds() - start)
    }
}
