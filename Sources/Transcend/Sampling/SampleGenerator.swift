import Data
import Diffusion
import Models
import Torch

/// Makes samples; sample i depends only on (seed, i) and its label, whatever else is sampled with it.
public struct SampleGenerator: Sendable {
    /// The number of images that go through the network together, before guidance doubles them.
    public static let batch = 64

    let network: SiT
    let path: ProbabilityPath
    let sampler: Sampler
    let draws: Draws

    /// Creates a generator; `path` must be the one that the network was trained on, and the samples are on the
    /// network's device.
    public init(network: SiT, path: ProbabilityPath, sampler: Sampler, seed: UInt64) {
        (self.network, self.path, self.sampler, draws) = (network, path, sampler, Draws(seed: seed))
    }

    /// Samples `firstItem`, `firstItem + 1`, ... of these labels: [B, C, R, R] in float64.
    public func callAsFunction(labels: [Int], firstItem: Int) -> Tensor {
        samples(labels, firstItem: firstItem, progress: { _ in })
    }

    private func samples(
        _ labels: [Int], firstItem: Int, progress: (_ step: Int) throws -> Void
    ) rethrows -> Tensor {
        let c = network.configuration
        let shape = [labels.count, c.channels, c.inputSize, c.inputSize]
        let device = network.parameters()[0].parameter.value.device
        func normals(_ purpose: Draws.Purpose, step: Int) -> Tensor {
            let count = shape[1...].reduce(1, *)
            let values = labels.indices.flatMap {
                draws.normals(purpose, step: step, item: firstItem + $0, count: count)
            }
            return Tensor(values, shape: shape).to(device)
        }
        return try sampler(
            network, normals(.sampleNoise, step: 0), Tensor(labels).to(device), path: path,
            increment: { normals(.sampleIncrement, step: $0) }, progress: progress)
    }

    /// Samples pictures in batches, from sample `first` on; `decoder` must match the network's data. Throws any error
    /// of the network, of `progress` (called after each step of the solver) or of `receive`.
    public func pictures(
        labels: [Int], from first: Int = 0, decoder: PictureDecoder, progress: (_ step: Int) throws -> Void = { _ in },
        receive: (_ images: [RGBImage]) throws -> Void
    ) throws {
        for start in stride(from: first, to: labels.count, by: Self.batch) {
            let part = Array(labels[start..<min(start + Self.batch, labels.count)])
            let images = try withErrors {
                decoder.pictures(try samples(part, firstItem: start, progress: progress))
            }
            try receive(images)
        }
    }
}
