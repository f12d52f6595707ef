import Data
import Diffusion
import Torch

/// Images of a checkpoint's data, noised as in training, to inspect a network's features.
public struct NoisedImages {
    /// The data, as the network was trained on them.
    public let dataset: any Dataset
    private let configuration: TrainingConfiguration
    private let device: Device

    /// Opens the data that the checkpoint was trained on, or others of the same form. Throws if they cannot be read, or
    /// do not fit the network.
    public init(_ checkpoint: Checkpoint, data path: String?, on device: Device) throws {
        var configuration = checkpoint.state.configuration
        if let path { configuration.data.source = path }
        configuration.data.flips = false
        dataset = try TrainingData.open(configuration, isTrained: true)
        (self.configuration, self.device) = (configuration, device)
    }

    /// Clean images [B, C, R, R]; throws if one cannot be read.
    public func clean(_ indices: [Int]) throws -> Tensor {
        let network = configuration.network
        let shape = [indices.count, network.channels, network.inputSize, network.inputSize]
        return Tensor(try dataset.images(indices), shape: shape).to(device)
    }

    /// Images at one time t; each has its own noise, the same at every t.
    public func batch(_ indices: [Int], t: Double) throws -> NoisedBatch {
        let clean = try clean(indices)
        let draws = Draws(seed: configuration.seed)
        let count = clean.count / indices.count
        let noise = indices.flatMap { draws.normals(.noise, step: 0, item: $0, count: count) }
        let labels = Tensor(indices.map(dataset.label)).to(device)
        return Batch(
            clean: clean, noise: Tensor(noise, shape: clean.shape).to(device),
            times: [Float](repeating: Float(t), count: indices.count), labels: labels, seenLabels: labels
        ).noised(along: configuration.diffusion.path)
    }
}
