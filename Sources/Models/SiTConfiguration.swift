/// The shape of a SiT network.
///
/// R side of the input in pixels or latent cells, P patch side, N = (R / P)^2 tokens, D hidden size, H heads.
public struct SiTConfiguration: Codable, Sendable, Equatable {
    /// R; inputs are square.
    public var inputSize = 32
    /// P, a divisor of R.
    public var patchSize = 2
    /// C of the inputs: 3 for pixels, 4 for latents of Stable Diffusion.
    public var channels = 4
    /// D, a multiple of 4 and of the heads.
    public var hidden = 384
    /// Transformer blocks, which are counted from 1.
    public var depth = 12
    /// H, a divisor of D.
    public var heads = 6
    /// Labels 0 ..< classes; number `classes` stands for "no label".
    public var classes = 1000
    /// LayerNorm with weight and bias on queries and keys, per head.
    public var qkNorm = false
    /// Width of a block's MLP over D.
    public var mlpRatio = 4.0

    /// What every size but the depth may be.
    public static let sizeRange = 1...1 << 20
    /// What the depth may be: blocks are made one by one, before anything is known of the memory that they take.
    public static let depthRange = 1...1024
    /// Above 0 and up to this the MLP's width may be.
    public static let largestMLPRatio = 64.0

    /// SiT-S/2 for latents of 256 x 256 pixels and the classes of ImageNet.
    public init() {}

    /// G^2 with G = R / P.
    public var tokens: Int { (inputSize / patchSize) * (inputSize / patchSize) }
    /// Elements of one sample, C * R * R.
    public var elementsPerSample: Int { channels * inputSize * inputSize }
    /// Width of a block's MLP.
    public var mlpWidth: Int { Int(Double(hidden) * mlpRatio) }
    /// Values in one patch, P * P * C.
    public var patchValues: Int { patchSize * patchSize * channels }

    /// Depth, hidden size and heads as published for DiT and SiT.
    public static let sizes: [(name: String, depth: Int, hidden: Int, heads: Int)] = [
        ("S", 12, 384, 6),
        ("B", 12, 768, 12),
        ("L", 24, 1024, 16),
        ("XL", 28, 1152, 16),
    ]

    /// "SiT-B/2": a published size with a patch; nil for a name that is none.
    public init?(named name: String) {
        let parts = (name.hasPrefix("SiT-") ? String(name.dropFirst(4)) : name).split(separator: "/")
        guard parts.count == 2, let patch = Int(parts[1]), patch > 0,
            let size = Self.sizes.first(where: { $0.name == parts[0] })
        else { return nil }
        (depth, hidden, heads, patchSize) = (size.depth, size.hidden, size.heads, patch)
    }

    /// What is wrong with the numbers, in one sentence; nil if a network can be built.
    public var problem: String? {
        let sizes = [
            ("input size", inputSize), ("patch size", patchSize), ("channels", channels), ("hidden size", hidden),
            ("heads", heads), ("classes", classes),
        ]
        let all = sizes.map { ($0, $1, Self.sizeRange) } + [("depth", depth, Self.depthRange)]
        if let (name, value, range) = all.first(where: { !$2.contains($1) }) {
            return "the network's \(name) is \(value); give a number from 1 to \(range.upperBound)"
        }
        if inputSize % patchSize != 0 {
            return "patches of \(patchSize) do not divide inputs of \(inputSize); choose a divisor"
        }
        if inputSize / patchSize > 256 {
            return
                "patches of \(patchSize) make more than 256 x 256 tokens of inputs of \(inputSize); choose larger ones"
        }
        if hidden % heads != 0 {
            return "\(heads) heads do not divide the hidden size \(hidden); choose a divisor"
        }
        if hidden % 4 != 0 {
            return "the hidden size \(hidden) is no multiple of 4, which the position table needs"
        }
        if !(mlpRatio > 0 && mlpRatio <= Self.largestMLPRatio) {
            return "the MLP ratio is \(mlpRatio); give a number above 0 and up to 64, 4 as a rule"
        }
        if mlpWidth < 1 {
            return "the MLP ratio \(mlpRatio) leaves no width for a hidden size of \(hidden); 4 is the rule"
        }
        return nil
    }

    /// What keeps a network from standing for one of this shape, in one sentence; nil if nothing does.
    public func misfit(of other: SiTConfiguration) -> String? {
        let pairs: [(String, Int, Int)] = [
            ("input size", other.inputSize, inputSize), ("patch size", other.patchSize, patchSize),
            ("channels", other.channels, channels), ("hidden size", other.hidden, hidden),
            ("depth", other.depth, depth), ("heads", other.heads, heads), ("classes", other.classes, classes),
            ("QK-norm", other.qkNorm ? 1 : 0, qkNorm ? 1 : 0), ("MLP width", other.mlpWidth, mlpWidth),
        ]
        return pairs.first { $0.1 != $0.2 }.map {
            "its network has \($0.0) \($0.1), this one \($0.2); they must be equal"
        }
    }

    /// FLOPs of the matrix products (2 m n k each) of one image through the first `blocks` blocks; nil for the whole
    /// network with its output layer.
    public func forwardFLOPs(blocks: Int? = nil) -> Double {
        let (n, d, m) = (Double(tokens), Double(hidden), Double(mlpWidth))
        let patch = Double(patchValues)
        let block = 2 * n * d * (3 * d + d + 2 * m) + 4 * n * n * d + 2 * d * 6 * d
        let ends = 2 * n * patch * d + 2 * (256 * d + d * d)
        let output = blocks == nil ? 2 * n * d * patch + 2 * d * 2 * d : 0
        return ends + block * Double(blocks ?? depth) + output
    }
}
