import Foundation
import Torch

/// SiT, the scalable interpolant transformer (Ma et al. 2024): patch embedding, blocks with adaLN-Zero, linear output
/// patches.
///
/// Parameter names equal those of published checkpoints. Shapes: x [B, C, R, R], tokens [B, N, D].
public struct SiT: Module {
    /// The configuration of the network.
    public let configuration: SiTConfiguration
    let patches: Conv2d
    let positions: Parameter
    let time: TimestepEmbedder
    let labels: Embedding
    let blocks: [SiTBlock]
    let final: FinalLayer

    /// Builds the network without setting its parameters; `configuration.problem` must be nil.
    public init(_ configuration: SiTConfiguration, on device: Device = .cpu) {
        let c = configuration
        self.configuration = c
        patches = Conv2d(c.channels, c.hidden, kernel: c.patchSize, stride: c.patchSize, on: device)
        let table = Initializer { _, _, _ in
            Self.positionTable(hidden: c.hidden, grid: c.inputSize / c.patchSize)
        }
        positions = Parameter([1, c.tokens, c.hidden], table, isTrained: false, on: device)
        time = TimestepEmbedder(hidden: c.hidden, on: device)
        labels = Embedding(c.classes + 1, c.hidden, initializer: .normal(deviation: 0.02), on: device)
        blocks = (0..<c.depth).map { _ in SiTBlock(c, on: device) }
        final = FinalLayer(c, on: device)
    }

    public func walk(_ visit: inout Walk) {
        visit("pos_embed", positions)
        visit("x_embedder.proj", patches)
        visit("t_embedder", time)
        visit("y_embedder.embedding_table", labels)
        visit("blocks", blocks)
        visit("final_layer", final)
    }

    /// The network's output: the velocity [B, C, R, R], unless it stopped early, and the outputs [B, N, D] of the
    /// requested blocks, counted from 1.
    public struct Output: Sendable {
        /// The velocity [B, C, R, R]; nil if the network stopped early.
        public let velocity: Tensor?
        /// The outputs [B, N, D] by block.
        public let features: [Int: Tensor]
    }

    /// Runs the network on x [B, C, R, R], t [B] in [0, 1], y [B] int64. With `stopAfter` the later blocks do not run.
    public func callAsFunction(
        _ x: Tensor, _ t: Tensor, _ y: Tensor, features: Set<Int> = [], stopAfter: Int? = nil
    ) -> Output {
        let condition = within("embedders") { (time(t) + labels(y)).silu() }
        var tokens = within("x_embedder") {
            // The convolution as a linear layer of patches, which needs no transposition.
            ResidualStream(
                patchified(x, patch: configuration.patchSize)
                    .linear(patches.weight.value.flattened(from: 1), patches.bias?.value) + positions.value)
        }
        var kept: [Int: Tensor] = [:]
        for (index, block) in blocks.enumerated() {
            tokens = within("blocks.\(index)") { block(tokens, condition) }
            if features.contains(index + 1) {
                let value = tokens.value
                kept[index + 1] = value
                // As a view: gradients of later blocks are summed before the gradient of the feature is added, also if
                // blocks are recomputed, so that both give the same bits.
                tokens = ResidualStream(value.reshaped(value.shape))
            }
            if stopAfter == index + 1 { return Output(velocity: nil, features: kept) }
        }
        let velocity = within("final_layer") {
            unpatchified(final(tokens, condition), patch: configuration.patchSize)
        }
        return Output(velocity: velocity, features: kept)
    }

    /// The null label, which stands for no class, once per label.
    public func nullLabels(like labels: Tensor) -> Tensor {
        .full(labels.shape, Double(configuration.classes), .I64, on: labels.device)
    }

    /// Fixed sine-cosine positions [N, D], row by row, in float64 and rounded once. The first half of D encodes the
    /// column, the second half the row; each consists of sines, then cosines, with frequencies 10000^(-i / (D/4)).
    static func positionTable(hidden: Int, grid: Int) -> [Float] {
        let quarter = hidden / 4
        let axis = (0..<grid).map { place in
            let angles = (0..<quarter).map { Double(place) * pow(10000, -Double($0) / Double(quarter)) }
            return angles.map { Float(sin($0)) } + angles.map { Float(cos($0)) }
        }
        return (0..<grid).flatMap { row in (0..<grid).flatMap { column in axis[column] + axis[row] } }
    }
}

/// Rearranges [B, C, R, R] -> [B, N, C*P*P], each token laid out (channel, row, column).
func patchified(_ x: Tensor, patch: Int) -> Tensor {
    let (batch, channels, grid) = (x.size(0), x.size(1), x.size(2) / patch)
    return x.reshaped([batch, channels, grid, patch, grid, patch]).permuted([0, 2, 4, 1, 3, 5])
        .reshaped([batch, grid * grid, channels * patch * patch])
}

/// Rearranges [B, N, P*P*C], each token laid out (row, column, channel) -> [B, C, R, R].
public func unpatchified(_ tokens: Tensor, patch: Int) -> Tensor {
    let batch = tokens.size(0)
    let grid = Int(Double(tokens.size(1)).squareRoot().rounded())
    let channels = tokens.size(2) / (patch * patch)
    return tokens.reshaped([batch, grid, grid, patch, patch, channels]).permuted([0, 5, 1, 3, 2, 4])
        .reshaped([batch, channels, grid * patch, grid * patch])
}
