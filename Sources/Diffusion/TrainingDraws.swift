import Foundation
import Torch

/// The random numbers of one training step: a function of (seed, step, position in the global batch) alone.
public struct TrainingDraws: Sendable {
    /// Standard normal, [positions, C, R, R].
    public let noise: [Float]
    /// t of every sample of the global batch.
    public let times: [Float]
    /// Whether the network sees the null class instead of the label, of every sample of the global batch.
    public let labelDropped: [Bool]
    /// A number in [0, 1) for methods that draw one, of every sample of the global batch.
    public let uniforms: [Float]
    private let positions: Range<Int>

    /// For a global batch of `batch` samples, of which those at `positions` are needed; nil: all. `elementsPerSample`: elements of
    /// one sample, C * R * R.
    public init(
        _ draws: Draws, step: Int, batch: Int, positions: Range<Int>? = nil, elementsPerSample: Int,
        path: ProbabilityPath, sampling: TimeSampling, labelDrop: Double
    ) {
        let positions = positions ?? 0..<batch
        self.positions = positions
        let size = elementsPerSample
        noise = [Float](unsafeUninitializedCapacity: positions.count * size) { buffer, initialized in
            for (place, item) in positions.enumerated() {
                let part = UnsafeMutableBufferPointer(rebasing: buffer[place * size..<(place + 1) * size])
                draws.fillNormals(.noise, step: step, item: item, into: part)
            }
            initialized = positions.count * size
        }
        times = Self.times(draws, step: step, batch: batch, path: path, sampling: sampling)
        uniforms = (0..<batch).map { draws.uniforms(.method, step: step, item: $0, count: 1)[0] }
        labelDropped = (0..<batch).map {
            Double(draws.uniforms(.labelDrop, step: step, item: $0, count: 1)[0]) < labelDrop
        }
    }

    /// t of every sample of a global batch.
    private static func times(
        _ draws: Draws, step: Int, batch: Int, path: ProbabilityPath, sampling: TimeSampling
    ) -> [Float] {
        let items = 0..<batch
        func uniforms(_ count: Int, _ item: Int) -> [Float] {
            draws.uniforms(.time, step: step, item: item, count: count)
        }
        switch sampling {
        case .uniform: return items.map { uniforms(1, $0)[0] }
        case .stratified:
            // The first number of each sample is its place within a part, the order of the second ones deals the parts out.
            let numbers = items.map { uniforms(2, $0) }
            var times = [Float](repeating: 0, count: batch)
            for (part, item) in items.sorted(by: { (numbers[$0][1], $0) < (numbers[$1][1], $1) }).enumerated() {
                times[item] = min(Float((Double(part) + Double(numbers[item][0])) / Double(batch)), Float(1).nextDown)
            }
            return times
        case .lognormal:
            return items.map {
                Float(path.time(noiseLevel: exp(Double(draws.normals(.time, step: step, item: $0, count: 1)[0]))))
            }
        }
    }

    /// The part `range` of the global batch's positions. `clean` has the samples [C, R, R] of all positions one after another,
    /// `labels` theirs.
    public func batch(
        _ range: Range<Int>, clean: [Float], labels: [Int], shape: [Int], classes: Int, on device: Device
    ) -> Batch {
        let count = shape.reduce(1, *)
        let places = range.lowerBound - positions.lowerBound..<range.upperBound - positions.lowerBound
        let elements = places.lowerBound * count..<places.upperBound * count
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
            labels: Tensor(Array(labels[places])).to(device),
            seenLabels: Tensor(zip(range, places).map { labelDropped[$0] ? classes : labels[$1] }).to(device),
            uniforms: Array(uniforms[range]))
    }
}

extension Range<Int> {
    /// The bytes that these float32 elements take.
    fileprivate var bytes: Range<Int> { 4 * lowerBound..<4 * upperBound }
}
