import Diffusion
import Formats
import Foundation
import Torch

/// Everything that decides which pictures a checkpoint draws: the stamp beside samples, and a part of each result of
/// their evaluation. Samples with equal stamps are equal.
public struct SampleStamp: Codable, Sendable, Equatable {
    /// The number of samples.
    public var samples: Int
    /// The rule that assigns sample i its label.
    public var labels: String
    /// The solver, steps and guidance.
    public var sampler: Sampler
    /// The seed of the noise and of random labels.
    public var seed: UInt64
    /// The precision of matrix products.
    public var precision: Precision
    /// The decoder of latents: the autoencoder's name and a checksum of its decoder, or "pixels".
    public var decoder: String
    /// The conversion of a network's or decoder's output to bytes.
    public var rounding = "floor(clamp(255 (x + 1) / 2, 0, 255))"
    /// The checksum of the network's weights.
    public var checkpoint: String
    /// The step of the checkpoint.
    public var step: Int
    /// The kind of weights, EMA or raw.
    public var weights: NetworkWeights

    /// Creates a stamp from all values without a default.
    init(
        samples: Int, labels: String, sampler: Sampler, seed: UInt64, precision: Precision, decoder: String,
        checkpoint: String, step: Int, weights: NetworkWeights
    ) {
        (self.samples, self.labels, self.sampler, self.seed) = (samples, labels, sampler, seed)
        (self.precision, self.decoder, self.checkpoint) = (precision, decoder, checkpoint)
        (self.step, self.weights) = (step, weights)
    }

    /// The path of the stamp: in the samples' folder, or beside their array.
    static func path(ofSamples path: String) -> String {
        NumpyFile.isArchive(path) ? path.dropLast(4) + ".json" : path + "/protocol.json"
    }

    /// Reads the stamp of samples in a folder or an array; nil if there is none.
    public static func read(ofSamples path: String) -> SampleStamp? {
        (try? JSONValue.read(path: Self.path(ofSamples: path))).flatMap(Self.init(json:))
    }

    /// Reads a stamp from the object that `json` returns; nil if it is not one.
    init?(json: JSONValue) {
        guard let stamp = try? json.decoded(as: Self.self) else { return nil }
        self = stamp
    }

    /// The stamp without its checkpoint, which is the same for every checkpoint of a run.
    var withoutCheckpoint: SampleStamp {
        var stamp = self
        (stamp.checkpoint, stamp.step) = ("any", 0)
        return stamp
    }

    /// The stamp as JSON, with members sorted by name.
    public var json: JSONValue {
        // Its numbers are finite, as checked by `Sampler.problem`.
        (try? JSONValue(encoding: self)) ?? .null
    }

    /// Writes the stamp; throws a `FileError`.
    func write(besides samples: String) throws {
        try AtomicFile.write(json.text(.pretty) + "\n", to: Self.path(ofSamples: samples))
    }
}
