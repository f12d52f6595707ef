import Diffusion
import Evaluation
import Formats
import Foundation
import Torch

/// The accuracy of linear probes on a network's blocks, by block and time: from which blocks, and at which noise
/// levels, the classes can be read.
///
/// A probe sees the mean of a block's tokens. The network sees the null label, since the true one would give the class
/// away.
public struct ProbeReport: Sendable {
    /// The number of images that go through the network together.
    private static let batch = 64

    /// The blocks, counted from 1.
    public let blocks: [Int]
    /// The times t.
    public let times: [Double]
    /// The accuracy on held-out images, by time, then block.
    public let accuracies: [[Double]]
    /// The number of images used for fitting and held out.
    public let images: (fitted: Int, heldOut: Int)

    /// Fits probes to four fifths of `count` images of the data, drawn in random order, and tests them on the others;
    /// all blocks if `blocks` is empty. Throws a `ConfigurationError`.
    public init(
        _ checkpoint: Checkpoint, weights: NetworkWeights, source: NoisedImages, blocks: [Int], times: [Double],
        count: Int, on device: Device, progress: (_ done: Int, _ count: Int) -> Void = { _, _ in }
    ) throws {
        let configuration = checkpoint.state.configuration
        let depth = configuration.network.depth
        if let problem = blockAndTimeProblem(blocks: blocks, times: times, depth: depth) {
            throw ConfigurationError(problem)
        }
        let total = min(count, source.dataset.count)
        guard total >= 10 else { throw ConfigurationError("--count \(count): a probe takes 10 images or more") }
        (self.blocks, self.times) = (blocks.isEmpty ? Array(1...depth) : blocks, times)
        let order = Draws(seed: configuration.seed).order(epoch: 0, items: source.dataset.count)
        let chosen = order.prefix(total).map { Int($0) }
        let labels = chosen.map(source.dataset.label)
        let fitted = total * 4 / 5
        images = (fitted, total - fitted)
        let network = try checkpoint.network(weights, on: device)
        let classes = configuration.network.classes
        let shown = self.blocks
        accuracies = try times.enumerated().map { place, t in
            var features = shown.map { _ in [Tensor]() }
            for start in stride(from: 0, to: total, by: Self.batch) {
                let part = Array(chosen[start..<min(start + Self.batch, total)])
                let outputs = try withErrors {
                    BlockFeatures.unconditional(of: network, try source.batch(part, t: t), depths: shown, scale: 1)
                        .map { $0.mean([1]) }
                }
                for (block, output) in outputs.enumerated() { features[block].append(output) }
                progress(place * total + start + part.count, times.count * total)
            }
            return try withErrors {
                features.map { parts in
                    let all = Tensor.concatenate(parts)
                    let probe = LinearProbe(all[0..<fitted], labels: Array(labels[..<fitted]), classes: classes)
                    return probe.accuracy(all[fitted..<total], labels: Array(labels[fitted...]))
                }
            }
        }
    }

    /// A table with a row for each block and a column for each time.
    public var table: Table {
        var table = Table([.text("block")] + times.map { .number("t \($0)") })
        for (place, block) in blocks.enumerated() {
            table.append(["\(block)"] + accuracies.map { String(format: "%.1f %%", 100 * $0[place]) })
        }
        return table
    }

    /// A plot with a curve over the blocks for each time.
    public func plot(title: String) -> CurvePlot {
        let series = zip(times, accuracies).map { t, row in
            CurvePlot.Series("t \(t)", zip(blocks, row).map { (Double($0), 100 * $1) })
        }
        let panel = CurvePlot.Panel("accuracy of linear probes, %", series, exact: true, fromZero: true)
        var plot = CurvePlot(
            title: title, subtitle: "\(images.fitted) images fitted, \(images.heldOut) held out", panels: [panel])
        plot.axis = "block"
        return plot
    }

    /// Reads a report from the object that `json` returns; nil if it is not one.
    init?(json: JSONValue) {
        guard let blocks = json["blocks"]?.elements?.compactMap(\.int),
            let times = json["times"]?.elements?.compactMap(\.double),
            let rows = json["accuracies"]?.elements?.map({ $0.elements?.compactMap(\.double) ?? [] }),
            rows.count == times.count, rows.allSatisfy({ $0.count == blocks.count }),
            let fitted = json["images_fitted"]?.int, let heldOut = json["images_held_out"]?.int
        else { return nil }
        (self.blocks, self.times, accuracies, images) = (blocks, times, rows, (fitted, heldOut))
    }

    /// The report as an object.
    public var json: JSONValue {
        .object([
            .init("blocks", .array(blocks.map { .int(Int64($0)) })),
            .init("times", .array(times.map(JSONValue.number))),
            .init("accuracies", .array(accuracies.map { .array($0.map(JSONValue.number)) })),
            .init("images_fitted", .int(Int64(images.fitted))), .init("images_held_out", .int(Int64(images.heldOut))),
        ])
    }
}
