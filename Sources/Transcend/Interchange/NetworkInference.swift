import Diffusion
import Formats
import Models

/// Infers a network and its head from a set of weights.
struct NetworkInference {
    let network: SiTConfiguration
    /// The method whose head the weights have; `Plain` if there is no head, or one of an unknown method.
    let method: any Method
    /// Whether the weights are in the convention of the original SiT code (`OriginalSiT`).
    let isOriginal: Bool

    /// Infers the network; `heads` is needed if neither QK-norm nor the published table determines it. Throws a
    /// `FileError` for weights of another network, a `ConfigurationError` if the number of heads is not known.
    init(_ weights: TensorSection, heads: Int?) throws {
        func shape(_ name: String, rank: Int) throws -> [Int] {
            guard let shape = weights.shape(name), shape.count == rank, shape.allSatisfy({ $0 > 0 }) else {
                throw FileError(
                    weights.path, "has no weights of a SiT: \(name) is missing or of another shape",
                    remedy: "give a checkpoint of SiT, REPA or Self-Transcendence")
            }
            return shape
        }
        let kernel = try shape("x_embedder.proj.weight", rank: 4)
        let tokens = try shape("pos_embed", rank: 3)[1]
        let side = Int(Double(tokens).squareRoot().rounded())
        let mlpWidth = try shape("blocks.0.mlp.fc1.weight", rank: 2)[0]
        var c = SiTConfiguration()
        (c.hidden, c.channels, c.patchSize) = (kernel[0], kernel[1], kernel[2])
        c.inputSize = side.multipliedReportingOverflow(by: c.patchSize).partialValue
        c.depth = (0...).first { weights.layout(of: "blocks.\($0).attn.qkv.weight") == nil } ?? 0
        c.classes = try shape("y_embedder.embedding_table.weight", rank: 2)[0] - 1
        c.mlpRatio = Double(mlpWidth) / Double(c.hidden)
        let headWidth = weights.shape("blocks.0.attn.q_norm.weight")?.first
        c.qkNorm = headWidth != nil
        c.heads = try Self.heads(of: c, headWidth: headWidth, given: heads, path: weights.path)
        guard tokens == side * side, c.problem == nil else {
            throw FileError(
                weights.path, "has weights of no SiT that can be built: \(c.problem ?? "\(tokens) positions")")
        }
        network = c
        isOriginal = weights.shape("final_layer.linear.weight") == [2 * c.patchValues, c.hidden]
        method = Self.method(weights, network: c)
    }

    private static func heads(of c: SiTConfiguration, headWidth: Int?, given: Int?, path: String) throws -> Int {
        if let headWidth, headWidth > 0, c.hidden % headWidth == 0 {
            let heads = c.hidden / headWidth
            guard given == nil || given == heads else {
                throw ConfigurationError("--heads \(given ?? 0): the weights of QK-norm say \(heads); leave it out")
            }
            return heads
        }
        if let given {
            guard given > 0, c.hidden % given == 0 else {
                throw ConfigurationError(
                    "--heads \(given): does not divide the hidden size \(c.hidden); give a divisor")
            }
            return given
        }
        guard let size = SiTConfiguration.sizes.first(where: { $0.hidden == c.hidden && $0.depth == c.depth }) else {
            throw ConfigurationError(
                "\(path): the number of attention heads cannot be told from weights of depth \(c.depth) and hidden size "
                    + "\(c.hidden); give it with --heads")
        }
        return size.heads
    }

    /// The method, inferred from the names of its head.
    private static func method(_ weights: TensorSection, network: SiTConfiguration) -> any Method {
        if weights.layout(of: "ap_head.linear1.weight") != nil {
            return SRA(defaultsFor: network, reading: .published)
        }
        if let width = weights.shape("projectors.0.0.weight")?.first {
            var method = REPA(defaultsFor: network, reading: .published)
            method.alignment.headWidth = width
            let outputs = (0...).lazy.map { weights.shape("projectors.\($0).4.weight")?.first }.prefix { $0 != nil }
            method.targets.widths = outputs.compactMap { $0 }
            return method
        }
        guard let width = weights.shape("projectors.0.weight")?.first else {
            return Plain(defaultsFor: network, reading: .published)
        }
        if weights.layout(of: "projectors_final.linear.weight") != nil {
            var method = AlignLatent(defaultsFor: network, reading: .published)
            method.alignment.headWidth = width
            return method
        }
        var method = SelfGuided(defaultsFor: network, reading: .published)
        method.alignment.headWidth = width
        return method
    }
}
