import Data
import Foundation
import Models
import Torch

/// Trains a small classifier on labelled pictures, whose features then give a meaningful Fréchet distance for data of
/// that kind.
public struct ExtractorFit {
    /// One in this many pictures, in a drawn order, is held out.
    private static let heldOutShare = 10
    /// The peak learning rate of AdamW, after a warm-up and before cosine decay to 0.
    private static let learningRate = 4e-3
    private static let weightDecay = 0.02

    /// The trained network.
    public let network: SmallClassifier
    /// The accuracy on held-out pictures.
    public let accuracy: Double
    /// The number of pictures used for fitting and held out.
    public let pictures: (fitted: Int, heldOut: Int)
    private let side: Int

    /// Trains for `steps` steps of `batch` pictures, mirrored at random unless `mirrors` is false. Equal arguments give
    /// equal networks. Throws an `EvaluationError` if the pictures cannot be classified, and an error if one cannot be
    /// read.
    public init(
        _ dataset: any Dataset, steps: Int, batch: Int = 128, mirrors: Bool = true, seed: UInt64 = 0,
        progress: (_ step: Int, _ loss: @autoclosure () -> Double) -> Void = { _, _ in }
    ) throws {
        let (draws, count, classes) = (Draws(seed: seed), dataset.count, dataset.classNames.count)
        guard dataset.latents == nil, dataset.channels == 3, dataset.side.isMultiple(of: 8) else {
            throw EvaluationError(
                "an extractor is fitted to pictures whose side is a multiple of 8; these are not such")
        }
        guard classes > 1, count >= 10 * classes else {
            throw EvaluationError(
                "\(count) pictures of \(classes) classes do not make an extractor; give 2 classes or more, of 10 pictures each"
            )
        }
        let order = draws.order(epoch: 0, items: count).map { Int($0) }
        let heldOut = DatasetPart(dataset, indices: Array(order[..<(count / Self.heldOutShare)]))
        let fitted = DatasetPart(dataset, indices: Array(order[(count / Self.heldOutShare)...]))
        pictures = (fitted.count, heldOut.count)
        let side = dataset.side
        self.side = side

        let network = SmallClassifier(classes: classes)
        network.initialise(stage: "extractor", seed: seed)
        var adamW = AdamWSettings()
        adamW.weightDecay = Self.weightDecay
        let parameters = network.parameters().trained
        let optimizer = AdamW(parameters, adamW)
        var settings = LoaderSettings(batchSize: min(batch, fitted.count))
        settings.flips = mirrors
        let loader = Loader(dataset: fitted, draws: draws, settings: settings) { _ in 0 }
        defer { loader.stop() }
        for step in 0..<steps {
            let loaded = try loader.next()
            try withErrors {
                let images = Tensor(loaded.images, shape: [loaded.labels.count, 3, side, side])
                let shift = draws.words(.pictures, step: step, item: -1, count: 2).map { Int($0 % 5) }
                let loss = Self.loss(
                    network(Self.shifted(images, right: shift[0], down: shift[1]), isTraining: true), loaded.labels)
                parameters.removeGradients()
                loss.backward()
                optimizer.update(learningRate: Self.rate(step, of: steps))
                progress(step + 1, loss.item())
            }
        }
        accuracy = try withErrors { try Self.accuracy(of: network, on: heldOut) }
        self.network = network
    }

    /// The bytes of a TorchScript module with the methods `forward` and `patches`.
    public func bytes() throws -> [UInt8] {
        let script = network.script(side: side)
        return try withErrors { TorchScript.bytes(name: "Extractor", source: script.source, tensors: script.tensors) }
    }

    /// The learning rate schedule: linear warm-up over a tenth of the steps, then cosine decay.
    private static func rate(_ step: Int, of steps: Int) -> Double {
        let warmup = max(1, steps / 10)
        if step < warmup { return learningRate * Double(step + 1) / Double(warmup) }
        return learningRate * 0.5 * (1 + cos(.pi * Double(step - warmup) / Double(max(1, steps - warmup))))
    }

    /// The mean cross entropy of logits [B, K].
    private static func loss(_ logits: Tensor, _ labels: [Int]) -> Tensor {
        let classes = logits.size(1)
        var targets = [Float](repeating: 0, count: labels.count * classes)
        for (place, label) in labels.enumerated() { targets[place * classes + label] = 1 }
        return -(logits.logSoftmax() * Tensor(targets, shape: logits.shape)).sum() / Double(labels.count)
    }

    /// The pictures shifted by up to two pixels in each direction, 0...4 with 2 in the middle; the exposed border is
    /// grey.
    private static func shifted(_ images: Tensor, right: Int, down: Int) -> Tensor {
        let side = images.size(2)
        return images.padded(left: 2, right: 2, above: 2, below: 2)
            .sliced(down..<down + side, axis: 2).sliced(right..<right + side, axis: 3)
    }

    private static func accuracy(of network: SmallClassifier, on dataset: any Dataset) throws -> Double {
        let (side, part) = (dataset.side, 100)
        var right = 0
        for start in stride(from: 0, to: dataset.count, by: part) {
            let indices = start..<min(start + part, dataset.count)
            let images = Tensor(try dataset.images(Array(indices)), shape: [indices.count, 3, side, side])
            let logits = withoutGradients { network(images) }
            let chosen = logits.largestIndices().values(as: Int64.self)
            right += zip(indices, chosen).count { dataset.label($0) == Int($1) }
        }
        return Double(right) / Double(dataset.count)
    }
}
