import Torch

/// DINOv2's vision transformer (Oquab et al. 2023; with registers Darcet et al. 2023): pictures to patch features,
/// under the names of the published files (`dinov2_vitb14_pretrain.pth`).
public struct DINOv2: Module {
    /// The configuration that a file of weights determines.
    public struct Configuration: Sendable, Equatable {
        /// The number of blocks.
        public var depth: Int
        /// The width D of a token.
        public var width: Int
        /// The number of attention heads.
        public var heads: Int
        /// The number of register tokens, which belong to no patch.
        public var registers: Int
        /// The side of the stored position table, in patches.
        public var grid: Int

        /// Creates a configuration. Published: 12 blocks of 384 (S) or 768 (B), 24 of 1024 (L), a table of 37 x 37.
        public init(depth: Int, width: Int, heads: Int, registers: Int = 0, grid: Int = 37) {
            (self.depth, self.width, self.heads, self.registers, self.grid) = (depth, width, heads, registers, grid)
        }
    }

    /// The side of a patch in pixels.
    public static let patch = 14

    /// The configuration of the network.
    public let configuration: Configuration
    private let classToken: Parameter
    private let positions: Parameter
    private let registers: Parameter?
    /// Part of the files, but unused here.
    private let maskToken: Parameter
    private let embedding: Conv2d
    private let blocks: [DINOv2Block]
    private let norm: LayerNorm

    /// Builds the network without setting its parameters.
    public init(_ c: Configuration, on device: Device) {
        configuration = c
        classToken = Parameter([1, 1, c.width], .zeros, on: device)
        positions = Parameter([1, 1 + c.grid * c.grid, c.width], .zeros, on: device)
        registers = c.registers > 0 ? Parameter([1, c.registers, c.width], .zeros, on: device) : nil
        maskToken = Parameter([1, c.width], .zeros, on: device)
        embedding = Conv2d(3, c.width, kernel: Self.patch, stride: Self.patch, on: device)
        blocks = (0..<c.depth).map { _ in DINOv2Block(c, on: device) }
        norm = LayerNorm(c.width, epsilon: 1e-6, on: device)
    }

    public func walk(_ visit: inout Walk) {
        visit("cls_token", classToken)
        visit("pos_embed", positions)
        visit("register_tokens", registers)
        visit("mask_token", maskToken)
        visit("patch_embed.proj", embedding)
        visit("blocks", blocks)
        visit("norm", norm)
    }

    /// The features [B, (S / 14)^2, D] of patches after the final norm, for normalised pictures [B, 3, S, S].
    public func callAsFunction(_ pictures: Tensor) -> Tensor {
        let batch = pictures.size(0)
        let patches = embedding(pictures).to(.F32)
        let grid = patches.size(-1)
        func forEach(_ token: Tensor) -> Tensor { .concatenate([Tensor](repeating: token, count: batch)) }
        var x =
            Tensor.concatenate([forEach(classToken.value), patches.flattened(from: 2).transposed(1, 2)], axis: 1)
            + positionTable(grid: grid)
        if let registers {
            x = .concatenate(
                [x.sliced(0..<1, axis: 1), forEach(registers.value), x.sliced(1..<(1 + grid * grid), axis: 1)], axis: 1)
        }
        for (index, block) in blocks.enumerated() { x = within("blocks.\(index)") { block(x) } }
        let first = 1 + configuration.registers
        return norm(x).sliced(first..<first + grid * grid, axis: 1)
    }

    /// The position table [1, 1 + grid^2, D]: the class token's, then the table resized by bicubic interpolation with
    /// antialiasing.
    public func positionTable(grid: Int) -> Tensor {
        let (own, width) = (configuration.grid, configuration.width)
        if grid == own { return positions.value }
        let square = positions.value.sliced(1..<(1 + own * own), axis: 1).reshaped([1, own, own, width])
        let resized = square.permuted([0, 3, 1, 2]).contiguous().resizedBicubically(side: grid, antialiased: true)
        return .concatenate(
            [positions.value.sliced(0..<1, axis: 1), resized.permuted([0, 2, 3, 1]).flattened(from: 1, to: 2)], axis: 1)
    }
}

/// A block: x + ls1 attention(norm1(x)), then x + ls2 mlp(norm2(x)).
private struct DINOv2Block: Module {
    let norms: [LayerNorm]
    let attention: Attention
    let scales: [Parameter]
    let first: Linear
    let second: Linear

    init(_ c: DINOv2.Configuration, on device: Device) {
        norms = (0..<2).map { _ in LayerNorm(c.width, epsilon: 1e-6, on: device) }
        attention = Attention(hidden: c.width, heads: c.heads, on: device)
        scales = (0..<2).map { _ in Parameter([c.width], .ones, on: device) }
        first = Linear(c.width, 4 * c.width, on: device)
        second = Linear(4 * c.width, c.width, on: device)
    }

    func walk(_ visit: inout Walk) {
        visit("norm1", norms[0])
        visit("attn", attention)
        visit("ls1.gamma", scales[0])
        visit("norm2", norms[1])
        visit("mlp.fc1", first)
        visit("mlp.fc2", second)
        visit("ls2.gamma", scales[1])
    }

    func callAsFunction(_ x: Tensor) -> Tensor {
        let attended = x + scales[0].value * attention(norms[0](x))
        return attended + scales[1].value * second(first(norms[1](attended)).exactGelu())
    }
}
