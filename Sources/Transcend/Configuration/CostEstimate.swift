import Diffusion
import Models
import Torch

/// The cost of a configuration, estimated before anything is allocated.
public struct CostEstimate: Sendable {
    /// The number of network parameters.
    public let networkParameters: Int
    /// The number of head parameters; 0 if the method has no head.
    public let headParameters: Int
    /// The number of parameters of the frozen teacher; 0 if there is none.
    public let teacherParameters: Int
    /// The FLOPs of matrix products in one forward pass, per image.
    public let forwardFLOPs: Double
    /// The FLOPs of matrix products in one training step, per image: those of three forward passes plus what the method
    /// adds.
    public let stepFLOPs: Double
    /// The bytes of weights, gradients, moments and averages, and of the teacher's weights.
    public let stateBytes: Int
    /// The approximate bytes of the activations that one micro-batch keeps for its backward pass.
    public let activationBytes: Int

    /// Estimates the cost on networks without storage; the configuration must be valid.
    public init(_ c: TrainingConfiguration) {
        let method = c.method.method
        let needsTeacher = method.followedWeights != nil
        let network = SiT(c.network, on: .meta)
        networkParameters = network.parameterCount
        headParameters = method.objective(for: c.network, teacher: nil, on: .meta).parameterCount
        teacherParameters = needsTeacher ? networkParameters : 0
        forwardFLOPs = c.network.forwardFLOPs()
        stepFLOPs = 3 * forwardFLOPs + method.addedFLOPs(for: c.network)
        // Weights, gradients, two moments and the average: five float32 each.
        stateBytes = 20 * (networkParameters + headParameters) + 4 * teacherParameters
        let perToken = c.network.depth * Self.keptPerToken * c.network.hidden
        let images = c.batch / max(1, c.accumulation)
        // For the largest sizes the product exceeds 64 bits.
        activationBytes = Int(min(0x1p62, 4 * Double(perToken) * Double(c.network.tokens) * Double(images)))
    }

    /// The bytes that each of several processes sends per step: a ring sends each gradient twice, except for its own
    /// part (Patarasuk and Yuan 2009). If averages and moments are sharded, each new parameter is sent once more.
    public func bytesSent(ranks: Int, isSpread: Bool) -> Int {
        (isSpread ? 3 : 2) * 4 * (networkParameters + headParameters) / ranks * (ranks - 1)
    }

    /// The bytes of a process's state, including gradient buckets, with averages and moments sharded over the processes
    /// or not.
    public func stateBytes(ranks: Int, isSpread: Bool) -> Int {
        let parameters = networkParameters + headParameters
        return stateBytes + (ranks > 1 ? 4 * parameters : 0) - (isSpread ? 12 * parameters / ranks * (ranks - 1) : 0)
    }

    /// The floats that one block keeps for each token, relative to the hidden size: norms and modulations 2 x 4,
    /// queries, keys and values 3, attention and projection 4, MLP 8, gates and residuals 4.
    private static let keptPerToken = 27
}
