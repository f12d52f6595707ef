import Diffusion
import Formats
import Foundation
import Torch

/// What decides which pictures a checkpoint draws: the stamp beside samples, and a part of each result of their evaluation.
/// Samples with equal stamps are equal.
public struct SampleStamp: Codable, Sendable, Equatable {
    /// How many.
    public var samples: Int
    /// The rule by which sample i has its label.
    public var labels: String
    /// Solver, steps and guidance.
    public var sampler: Sampler
    /// Of the noise, and of random labels.
    public var seed: UInt64
    /// Of products.
    public var precision: Precision
    /// What decodes latents: the autoencoder's name and a checksum of its decoder, or "pixels".
    public var decoder: String
    /// From a network's or a decoder's output to bytes.
    public var rounding = "floor(clamp(255 (x + 1) / 2, 0, 255))"
    /// The checksum of the network's weights.
    public var checkpoint: String
    /// The step of the checkpoint.
    public var step: Int
    /// Averaged or raw.
    public var weights: NetworkWeights

    /// With a value for everything that has no usual one.
    init(
        samples: Int, labels: String, sampler: Sampler, seed: UInt64, precision: Precision, decoder: String,
        checkpoint: String, step: Int, weights: NetworkWeights
    ) {
        (self.samples, self.labels, self.sampler, self.seed) = (samples, labels, sampler, seed)
        (self.precision, self.decoder, self.checkpoint) = (precision, decoder, checkpoint)
        (self.step, self.weights) = (step, weights)
    }

    /// Where the stamp of samples lies: in their folder, or beside their array.
    static func path(ofSamples path: String) -> String {
        NumpyFile.isArchive(path) ? path.dropLast(4) + ".json" : path + "/protocol.json"
    }

    /// The stamp of samples in a folder or an array; nil where there is none.
    public static func read(ofSamples path: String) -> SampleStamp? {
        (try? JSONValue.read(path: Self.path(ofSamples: path))).flatMap(Self.init(json:))
    }

    /// From the object that `json` returns; nil if it is none.
    init?(json: JSONValue) {
        guard let stamp = try? json.decoded(as: Self.self) else { return nil }
        self = stamp
    }

    /// The same for every checkpoint of a run.
    var withoutCheckpoint: SampleStamp {
        var stamp = self
        (stamp.checkpoint, stamp.step) = ("any", 0)
        return stamp
    }

    /// As JSON, with its members in the order of their names.
    public var json: JSONValue {
        // Its numbers are finite: `Sampler.problem` has seen them.
        (try? JSONValue(encoding: self)) ?? .null
    }

    /// Writes the stamp; throws a `FileError`.
    func write(besides samples: String) throws {
        try AtomicFile.write(json.text(.pretty) + "\n", to: Self.path(ofSamples: samples))
    }
}
