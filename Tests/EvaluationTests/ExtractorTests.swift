import Data
import Evaluation
import Formats
import Models
import TestSupport
import Testing
import Torch

/// Pictures of 4 x 4 pixels without any pattern.
private struct Noise: PictureSet {
    let location = "noise"
    let count: Int
    let seed: UInt64

    func picture(_ index: Int) -> RGBImage {
        let numbers = Draws(seed: seed).uniforms(.sampleNoise, step: 0, item: index, count: 48)
        return RGBImage(width: 4, height: 4, pixels: numbers.map { UInt8(255 * $0) })
    }

    /// [N, 3, 4, 4].
    var bytes: Tensor {
        let pixels = (0..<count).flatMap { picture($0).pixels }
        return Tensor(pixels, shape: [count, 4, 4, 3]).permuted([0, 3, 1, 2]).to(.F64)
    }
}

/// The means of the channels, and as spatial features the first row.
private struct RowExtractor: FeatureExtractor {
    let identity = "rows"

    func callAsFunction(_ images: Tensor) -> ImageFeatures {
        let x = images.to(.F32)
        return ImageFeatures(features: x.mean([2, 3]), spatial: x.sliced(0..<1, axis: 2).flattened(from: 1))
    }
}

@Suite struct ExtractorTests {
    @Test func spatialFeaturesHaveADistanceOfTheirOwn() throws {
        func gaussian(_ set: Noise) throws -> Gaussian {
            var statistics = FeatureStatistics()
            try statistics.add(set.bytes.sliced(0..<1, axis: 2).flattened(from: 1))
            return try statistics.gaussian()
        }
        let (own, other) = (Noise(count: 230, seed: 1), Noise(count: 150, seed: 2))
        let expected = try gaussian(own).frechetDistance(to: gaussian(other))
        try withTemporaryFolder { folder in
            let measured = try MeasuredSet(other, by: RowExtractor())
            try StatisticsFile.write(measured, of: other, to: folder + "/reference.npz")
            let stored = try StatisticsFile.read(path: folder + "/reference.npz", extractor: RowExtractor())
            for reference in [measured, stored] {
                let result = try EvaluationResult(
                    MeasuredSet(own, by: RowExtractor()), from: "own", reference: reference, from: "other")
                let distance = result.values.first { $0.name == "spatial_frechet_distance" }?.value
                #expect(abs(try #require(distance) - expected) < 1e-6 * expected)
            }
        }
    }

    @Test func inceptionIsKnownByItsWeights() throws {
        let network = Inception()
        try withErrors { network.initialise(stage: "test", seed: 5) }
        try withTemporaryFolder { folder in
            let path = folder + "/weights.safetensors"
            let counter = (name: "Conv2d_1a_3x3.bn.num_batches_tracked", tensor: Tensor([7]))
            try SafetensorsFile.write(network.parameters().tensors + [counter], to: path)
            let extractor = try openExtractor(path: path)
            #expect(extractor.identity.hasPrefix("weights.safetensors crc32:"))
            let images = Noise(count: 2, seed: 3).bytes.to(.U8)
            let (features, output) = try (extractor(images), withoutGradients { network(images) })
            #expect(features.features.doubles == output.pool.doubles)
            #expect(features.logits?.doubles == output.logits.doubles)
            #expect(features.spatial?.doubles == output.spatial.doubles)
        }
    }
}
