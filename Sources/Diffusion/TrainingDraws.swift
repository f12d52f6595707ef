import Foundation
import Torch

/// The random numbers of one training step: a function of (seed, step, position in the global batch) alone.
public struct TrainingDraws: Sendable {
    /// Standard normal, [B, C, R, R].
    public let noise: [Float]
    /// t of every sample.
    public let times: [Float]
    /// Whether the network sees the null class instead of the label.
    public let labelDropped: [Bool]

    /// `sampleCount`: elements of one sample, C * R * R.
    public init(
        _ draws: Draws, step: Int, batch: Int, sampleCount: Int, path: ProbabilityPath, sampling: TimeSampling,
        labelDrop: Double
    ) {
        noise = [Float](unsafeUninitializedCapacity: batch * sampleCount) { buffer, initialized in
            for item in 0..<batch {
                let part = UnsafeMutableBufferPointer(rebasing: buffer[item * sampleCount..<(item + 1) * sampleCount])
                draws.fillNormals(.noise, step: step, item: item, into: part)
            }
            initialized = batch * sampleCount
        }
        times = (0..<batch).map { item in
            switch sampling {
            case .uniform: draws.uniforms(.time, step: step, item: item, count: 1)[0]
            case .lognormal:
                Float(path.time(noiseLevel: exp(Double(draws.normals(.time, step: step, item: item, count: 1)[0]))))
            }
        }
        labelDropped = (0..<batch).map {
            Double(draws.uniforms(.labelDrop, step: step, item: $0, count: 1)[0]) < labelDrop
        }
    }

    /// The global batch's part `range`, with its clean samples [C, R, R] one after another and their labels.
    public func batch(
        _ range: Range<Int>, clean: [Float], labels: [Int], shape: [Int], classes: Int, on device: Device
    ) -> Batch {
        let count = shape.reduce(1, *)
        let elements = range.lowerBound * count..<range.upperBound * count
        func upload(_ values: [Float]) -> Tensor {
            values.withUnsafeBufferPointer {
                Tensor(
                    copying: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer($0)[elements.bytes]), type: .F32,
                    shape: [range.count] + shape
                ).to(device)
            }
        }
        return Batch(
            clean: upload(clean), noise: upload(noise), times: Array(times[range]), globalTimes: times,
            labels: Tensor(Array(labels[range])).to(device),
            seenLabels: Tensor(range.map { labelDropped[$0] ? classes : labels[$0] }).to(device))
    }
}

extension Range<Int> {
    /// The bytes that these float32 elements take.
    fileprivate var bytes: Range<Int> { 4 * lowerBound..<4 * upperBound }
}
