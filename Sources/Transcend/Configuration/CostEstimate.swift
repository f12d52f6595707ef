import Diffusion
import Models
import Torch

/// What a configuration will cost, before anything is allocated.
public struct CostEstimate: Sendable {
    /// Elements of the network's parameters.
    public let networkParameters: Int
    /// Elements of the head's parameters; 0 if the method has none.
    public let headParameters: Int
    /// Elements of the frozen teacher's parameters; 0 if the method follows none.
    public let teacherParameters: Int
    /// FLOPs of matrix products in one forward pass of one image.
    public let forwardFLOPs: Double
    /// FLOPs of matrix products in one training step of one image: three forward passes' worth, and what the method adds.
    public let stepFLOPs: Double
    /// Bytes of weights, gradients, moments and averages, and of the teacher's weights.
    public let stateBytes: Int
    /// Bytes of the activations that one micro-batch keeps for its backward pass, roughly.
    public let activationBytes: Int

    /// Counts on networks without storage; the configuration must be a valid one.
    public init(_ c: TrainingConfiguration) {
        let method = c.method.method
        let needsTeacher = method.followedWeights != nil
        let network = SiT(c.network, on: .meta)
        networkParameters = network.parameterCount
        headParameters = method.objective(for: c.network, teacher: nil, on: .meta).parameterCount
        teacherParameters = needsTeacher ? networkParameters : 0
        forwardFLOPs = c.network.forwardFLOPs()
        stepFLOPs = 3 * forwardFLOPs + method.addedFLOPs(for: c.network)
        // Weights, gradients, two moments, average: five float32 each.
        stateBytes = 20 * (networkParameters + headParameters) + 4 * teacherParameters
        let perToken = c.network.depth * Self.keptPerToken * c.network.hidden
        let images = c.batch / max(1, c.accumulation)
        // Of the largest sizes the product exceeds 64 bits.
        activationBytes = Int(min(0x1p62, 4 * Double(perToken) * Double(c.network.tokens) * Double(images)))
    }

    /// Bytes that each of several processes sends to others in a step: a ring passes each gradient twice, but for its own
    /// part (Patarasuk and Yuan 2009). Where averages and moments are spread, each new parameter is passed once more.
    public func bytesSent(ranks: Int, isSpread: Bool) -> Int {
        (isSpread ? 3 : 2) * 4 * (networkParameters + headParameters) / ranks * (ranks - 1)
    }

    /// Bytes of a process's state where averages and moments are spread over them or not, with the buckets of gradients.
    public func stateBytes(ranks: Int, isSpread: Bool) -> Int {
        let parameters = networkParameters + headParameters
        return stateBytes + (ranks > 1 ? 4 * parameters : 0) - (isSpread ? 12 * parameters / ranks * (ranks - 1) : 0)
    }

    /// Floats that one block keeps for each token, over the hidden size: norms and modulations 2 x 4, queries, keys and
    /// values 3, attention and projection 4, MLP 8, gates and residuals 4.
    private static let keptPerToken = 27
}
