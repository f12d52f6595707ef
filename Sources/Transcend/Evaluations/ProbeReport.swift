import Diffusion
import Evaluation
import Formats
import Foundation
import Torch

/// The accuracy of linear probes on a network's blocks, by block and time: where in the network, and how deep in noise, the
/// classes can be read.
///
/// A probe sees the mean of a block's tokens. The network sees the null label: the true one would give the class away.
public struct ProbeReport: Sendable {
    /// Images that go through the network together.
    private static let batch = 64

    /// Blocks, counted from 1.
    public let blocks: [Int]
    /// Times t.
    public let times: [Double]
    /// By time, then block: the share of held-out images that are recognised.
    public let accuracies: [[Double]]
    /// Images that probes were fitted to, and that they were held against.
    public let images: (fitted: Int, heldOut: Int)

    /// Fits to four fifths of `count` images of the data, drawn without order, and holds against the others; no `blocks`: all.
    /// Throws a `ConfigurationError`.
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

    /// A row for each block, a column for each time.
    public var table: Table {
        var table = Table([.text("block")] + times.map { .number("t \($0)") })
        for (place, block) in blocks.enumerated() {
            table.append(["\(block)"] + accuracies.map { String(format: "%.1f %%", 100 * $0[place]) })
        }
        return table
    }

    /// A curve over the blocks for each time.
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

    /// From the object that `json` returns; nil if it is none.
    init?(json: JSONValue) {
        guard let blocks = json["blocks"]?.elements?.compactMap(\.int),
            let times = json["times"]?.elements?.compactMap(\.double),
            let rows = json["accuracies"]?.elements?.map({ $0.elements?.compactMap(\.double) ?? [] }),
            rows.count == times.count, rows.allSatisfy({ $0.count == blocks.count }),
            let fitted = json["images_fitted"]?.int, let heldOut = json["images_held_out"]?.int
        else { return nil }
        (self.blocks, self.times, accuracies, images) = (blocks, times, rows, (fitted, heldOut))
    }

    /// The same as an object.
    public var json: JSONValue {
        .object([
            .init("blocks", .array(blocks.map { .int(Int64($0)) })),
            .init("times", .array(times.map(JSONValue.number))),
            .init("accuracies", .array(accuracies.map { .array($0.map(JSONValue.number)) })),
            .init("images_fitted", .int(Int64(images.fitted))), .init("images_held_out", .int(Int64(images.heldOut))),
        ])
    }
}
