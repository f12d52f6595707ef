import Foundation
import Torch

/// The random numbers of one training step: a function of (seed, step, position in the global batch) alone.
public struct TrainingDraws: Sendable {
    /// Standard normal noise, [positions, C, R, R].
    public let noise: [Float]
    /// The time t of every sample of the global batch.
    public let times: [Float]
    /// Whether the label is replaced by the null class, for every sample of the global batch.
    public let labelDropped: [Bool]
    /// A number in [0, 1) for every sample of the global batch, for methods that need one.
    public let uniforms: [Float]
    private let positions: Range<Int>

    /// Creates the draws for a global batch of `batch` samples, of which `positions` are needed; nil for all.
    /// `elementsPerSample` is C * R * R.
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

    /// The time t of every sample of a global batch.
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
            // A sample's first number is its place within a part; the order of the second numbers assigns the parts.
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

    /// The batch of the positions `range` of the global batch. `clean` holds the samples [C, R, R] of all positions one
    /// after another, `labels` their labels.
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
    /// The byte range of these float32 elements.
    fileprivate var bytes: Range<Int> { 4 * lowerBound..<4 * upperBound }
}
