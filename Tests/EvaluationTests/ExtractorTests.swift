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

    @Test func aBiasOfNothingIsNotTold() throws {
        func warning(bias: Double) throws -> String {
            let result = try JSONValue(
                parsing: """
                    {"extractor": "x", "samples": "a", "sample_count": 100, "reference": "b", "feature_size": 8,
                    "estimated_bias": \(bias)}
                    """)
            return try #require(EvaluationResult(json: result)?.warnings.first)
        }
        #expect(try warning(bias: 0.25).contains("than of 10,000 or more, by about 0.25; compare"))
        #expect(try warning(bias: 0).contains("than of 10,000 or more; compare"))
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

    /// TensorFlow 1 takes place i of a new row from place i * old / new of the old one, which is not the middle of anything, and
    /// what lies beyond the last place is the last one.
    @Test func theResizeIsTensorFlows() {
        let row = Tensor([0, 299] as [Float], shape: [1, 1, 1, 2])
        #expect(row.resizedAsTensorFlow1(1, 4).values(as: Float.self) == [0, 149.5, 299, 299])
        let column = Tensor([0, 6] as [Float], shape: [1, 1, 2, 1])
        let values = column.resizedAsTensorFlow1(3, 1).values(as: Float.self)
        #expect(zip(values, [0, 4, 6]).allSatisfy { abs($0 - $1) < 1e-5 })
        let long = Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [1, 1, 1, 6])
        #expect(long.resizedAsTensorFlow1(1, 3).values(as: Float.self) == [1, 3, 5], "nothing is averaged")
    }

    /// Of one distribution the distance is its bias alone.
    @Test func theBiasOfFewSamplesIsTold() throws {
        let network = NumberedFeatures()
        let reference = try MeasuredSet(NumberedPictures(first: 0, count: 10_000), by: network)
        let samples = try MeasuredSet(NumberedPictures(first: 10_000, count: 1_000), by: network)
        let result = try EvaluationResult(samples, from: "a", reference: reference, from: "b")
        let (bias, distance) = (try #require(result.bias), try #require(result["frechet_distance"]))
        #expect(distance > 0 && bias > 0.6 * distance && bias < 1.4 * distance, "\(bias) of \(distance)")
        #expect(result.warnings.count == 1 && result.warnings[0].contains("by about"))
        let again = try #require(EvaluationResult(json: result.json))
        #expect(again.json == result.json)
        #expect(try EvaluationResult(reference, from: "b", reference: reference, from: "b").bias == nil)
    }
}

/// Pictures that hold their number.
private struct NumberedPictures: PictureSet {
    let location = "numbers"
    let first: Int
    let count: Int

    func picture(_ index: Int) -> RGBImage {
        let number = first + index
        return RGBImage(
            width: 1, height: 1, pixels: [UInt8(number & 255), UInt8(number >> 8 & 255), UInt8(number >> 16)])
    }
}

/// Normal features, addressed by the number in the picture.
private struct NumberedFeatures: FeatureExtractor {
    let identity = "numbers"

    func callAsFunction(_ images: Tensor) -> ImageFeatures {
        let bytes = images.to(.I64).reshaped([-1, 3]).values(as: Int64.self).map(Int.init)
        let values = stride(from: 0, to: bytes.count, by: 3).flatMap { place in
            let item = bytes[place] + (bytes[place + 1] << 8) + (bytes[place + 2] << 16)
            return Draws(seed: 1).normals(.noise, step: 0, item: item, count: 16)
        }
        return ImageFeatures(features: Tensor(values, shape: [bytes.count / 3, 16]))
    }
}
