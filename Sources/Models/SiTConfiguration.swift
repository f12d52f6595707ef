/// The shape of a SiT network.
///
/// R is the side of the input in pixels or latent cells, P the patch side, N = (R / P)^2 the number of tokens, D the
/// hidden size, H the number of heads.
public struct SiTConfiguration: Codable, Sendable, Equatable {
    /// The side R of the square inputs.
    public var inputSize = 32
    /// The patch side P, a divisor of R.
    public var patchSize = 2
    /// The number of input channels C: 3 for pixels, 4 for latents of Stable Diffusion.
    public var channels = 4
    /// The hidden size D, a multiple of 4 and of the heads.
    public var hidden = 384
    /// The number of transformer blocks, which count from 1.
    public var depth = 12
    /// The number of heads H, a divisor of D.
    public var heads = 6
    /// The number of classes: labels are 0 ..< classes; `classes` itself stands for "no label".
    public var classes = 1000
    /// Whether queries and keys are normalised per head by LayerNorm with weight and bias.
    public var qkNorm = false
    /// The width of a block's MLP relative to D.
    public var mlpRatio = 4.0

    /// The allowed range of every size except the depth.
    public static let sizeRange = 1...1 << 20
    /// The allowed range of the depth, which is limited because blocks are built before their memory is known.
    public static let depthRange = 1...1024
    /// The maximum MLP ratio; it must be above 0.
    public static let largestMLPRatio = 64.0

    /// Creates SiT-S/2 for latents of 256 x 256 pixels and the classes of ImageNet.
    public init() {}

    /// The number of tokens, G^2 with G = R / P.
    public var tokens: Int { (inputSize / patchSize) * (inputSize / patchSize) }
    /// The number of elements of one sample, C * R * R.
    public var elementsPerSample: Int { channels * inputSize * inputSize }
    /// The width of a block's MLP.
    public var mlpWidth: Int { Int(Double(hidden) * mlpRatio) }
    /// The number of values in one patch, P * P * C.
    public var patchValues: Int { patchSize * patchSize * channels }

    /// Depth, hidden size and heads as published for DiT and SiT.
    public static let sizes: [(name: String, depth: Int, hidden: Int, heads: Int)] = [
        ("S", 12, 384, 6),
        ("B", 12, 768, 12),
        ("L", 24, 1024, 16),
        ("XL", 28, 1152, 16),
    ]

    /// Creates a published size with a patch size, such as "SiT-B/2"; nil for an unknown name.
    public init?(named name: String) {
        let parts = (name.hasPrefix("SiT-") ? String(name.dropFirst(4)) : name).split(separator: "/")
        guard parts.count == 2, let patch = Int(parts[1]), patch > 0,
            let size = Self.sizes.first(where: { $0.name == parts[0] })
        else { return nil }
        (depth, hidden, heads, patchSize) = (size.depth, size.hidden, size.heads, patch)
    }

    /// The reason why no network can be built, in one sentence; nil if one can.
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

    /// The reason why another network cannot stand in for one of this shape, in one sentence; nil if it can.
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

    /// The FLOPs of the matrix products (2 m n k each) of one image through the first `blocks` blocks; nil for the
    /// whole network with its output layer.
    public func forwardFLOPs(blocks: Int? = nil) -> Double {
        let (n, d, m) = (Double(tokens), Double(hidden), Double(mlpWidth))
        let patch = Double(patchValues)
        let block = 2 * n * d * (3 * d + d + 2 * m) + 4 * n * n * d + 2 * d * 6 * d
        let ends = 2 * n * patch * d + 2 * (256 * d + d * d)
        let output = blocks == nil ? 2 * n * d * patch + 2 * d * 2 * d : 0
        return ends + block * Double(blocks ?? depth) + output
    }
}
