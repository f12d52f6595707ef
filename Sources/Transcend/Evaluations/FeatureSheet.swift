import Data
import Diffusion
import Evaluation
import Models
import Torch

/// The features of images by block, as maps of their principal components: rows are images, training steps, times and
/// kinds of features, columns are blocks. One basis serves the whole sheet, so that equal colours mean equal features.
public struct FeatureSheet {
    /// The settings of a sheet.
    public struct Settings: Sendable {
        /// The indices of the images in the data set; if empty, four images spread over it.
        public var images: [Int] = []
        /// The blocks, counted from 1; if empty, all.
        public var blocks: [Int] = []
        /// The times t, from 0 (clean) to 1 (noise).
        public var times: [Double] = [0.5]
        /// The kinds of features: with the label, without, or guided.
        public var kinds: [BlockFeatures] = [.conditional]
        /// The scale w of the guided features.
        public var scale = 30.0
        /// The weights: EMA or raw.
        public var weights = NetworkWeights.ema
        /// Whether to keep the part of the features that depends only on the position. Otherwise the mean over 64
        /// images at each position is subtracted, since the position embeddings would dominate the colours.
        public var keepsPositions = false

        /// Creates the defaults: four images halfway to noise.
        public init() {}

        /// The reason why the settings do not fit a network and its data; nil if they do.
        func problem(depth: Int, images count: Int) -> String? {
            if let image = images.first(where: { !(0..<count).contains($0) }) {
                return "--images \(image): the data have images 0 to \(count - 1)"
            }
            return blockAndTimeProblem(blocks: blocks, times: times, depth: depth)
        }
    }

    private let settings: Settings
    private let blocks: [Int]
    private let source: NoisedImages
    private let classNames: [String]
    private let pictures: [RGBImage]
    /// The images over which the mean at each position is taken.
    private let others: [Int]
    /// The features [N, D] of every row and block.
    private var rows: [(image: Int, label: String, maps: [Tensor])] = []

    /// Creates a sheet for checkpoints of one run, with data from `source`; `decoder` shows the images. Throws a
    /// `ConfigurationError`.
    public init(_ chosen: Settings, of checkpoint: Checkpoint, source: NoisedImages, decoder: PictureDecoder) throws {
        var settings = chosen
        let count = source.dataset.count
        if settings.images.isEmpty { settings.images = Self.examples(of: source.dataset) }
        others = (0..<min(64, count)).map { $0 * count / min(64, count) }
        let depth = checkpoint.state.configuration.network.depth
        if let problem = settings.problem(depth: depth, images: count) {
            throw ConfigurationError(problem)
        }
        (self.settings, self.source) = (settings, source)
        blocks = settings.blocks.isEmpty ? Array(1...depth) : settings.blocks
        classNames = checkpoint.state.classNames
        pictures = try withErrors { decoder.pictures(try source.clean(settings.images)) }
    }

    /// Up to four images, spread over a data set, and of different classes as far as there are as many.
    package static func examples(of dataset: any Dataset) -> [Int] {
        let count = dataset.count
        var (images, shown): ([Int], Set<Int>) = ([], [])
        for place in 0..<min(4, count) {
            if shown.count == dataset.classNames.count { shown = [] }
            let start = (2 * place + 1) * count / 8
            let others = (start..<start + count).lazy.map { $0 % count }.filter { [images] in !images.contains($0) }
            guard let image = others.first(where: { [shown] in !shown.contains(dataset.label($0)) }) ?? others.first
            else { break }
            images.append(image)
            shown.insert(dataset.label(image))
        }
        return images
    }

    /// Adds the features of a checkpoint; `isNamed` adds its step to the row labels.
    public mutating func add(_ checkpoint: Checkpoint, isNamed: Bool, on device: Device) throws {
        let network = try checkpoint.network(settings.weights, on: device)
        for t in settings.times {
            for kind in settings.kinds {
                let features = try withErrors { try self.features(of: network, kind, t: t) }
                let names = [
                    isNamed ? "step \(checkpoint.state.step)" : "", settings.times.count > 1 ? "t \(t)" : "",
                    settings.kinds.count > 1 ? kind.rawValue : "",
                ]
                for image in settings.images.indices {
                    let name = classNames[source.dataset.label(settings.images[image])]
                    let label = ([name] + names.filter { !$0.isEmpty }).joined(separator: ", ")
                    rows.append(
                        (image, label, features.map { $0[image..<image + 1].reshaped([$0.size(1), $0.size(2)]) }))
                }
            }
        }
    }

    /// The features [B, N, D] of each block.
    private func features(of network: SiT, _ kind: BlockFeatures, t: Double) throws -> [Tensor] {
        func features(_ images: [Int]) throws -> [Tensor] {
            kind(of: network, try source.batch(images, t: t), depths: blocks, scale: settings.scale)
        }
        let own = try features(settings.images)
        guard !settings.keepsPositions else { return own }
        return zip(own, try features(others)).map { $0 - $1.mean([0]) }
    }

    /// Draws the sheet.
    public func render() throws -> RGBImage {
        // A group is one block of one network at one time: the rows that differ only in their image.
        let size = settings.images.count
        let groups = stride(from: 0, to: rows.count, by: size).flatMap { first in
            blocks.indices.map { block in Tensor.concatenate(rows[first..<first + size].map { $0.maps[block] }) }
        }
        let colours = try withErrors { PrincipalColours(of: groups) }
        let maps = try withErrors { groups.map(colours.bytes) }
        let order = rows.indices.sorted { (rows[$0].image, $0) < (rows[$1].image, $1) }
        let cells = order.flatMap { row -> [RGBImage] in
            let picture = pictures[rows[row].image]
            return [picture]
                + blocks.indices.map { block in
                    let bytes = maps[row / size * blocks.count + block]
                    let part = bytes.count / size
                    return Self.map(Array(bytes[row % size * part..<(row % size + 1) * part]), side: picture.width)
                }
        }
        var grid = ImageGrid(cells, columns: blocks.count + 1, rowLabels: order.map { rows[$0].label })
        grid.columnLabels = ["image"] + blocks.map { "block \($0)" }
        return grid.render()
    }

    /// A square of tokens, enlarged to the side of its image if that is a multiple.
    private static func map(_ bytes: [UInt8], side: Int) -> RGBImage {
        let grid = Int(Double(bytes.count / 3).squareRoot().rounded())
        let scale = max(1, side / grid)
        var canvas = Canvas(width: grid * scale, height: grid * scale, background: Canvas.Color(0xFFFFFF))
        canvas.draw(RGBImage(width: grid, height: grid, pixels: bytes), x: 0, y: 0, scale: scale)
        return canvas.picture
    }
}

/// The reason why blocks and times do not fit a network; nil if they do.
func blockAndTimeProblem(blocks: [Int], times: [Double], depth: Int) -> String? {
    if let block = blocks.first(where: { !(1...depth).contains($0) }) {
        return "--blocks \(block): the network has blocks 1 to \(depth)"
    }
    if let t = times.first(where: { !(0...1).contains($0) }) { return "--times \(t): give times from 0 to 1" }
    return nil
}
