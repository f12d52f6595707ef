import CTorch
import Formats

private enum Op {
    static let adamW = Operator("_fused_adamw_")
    static let norms = Operator("_foreach_norm", "Scalar")
    static let scale = Operator("_foreach_mul_", "Scalar")
    static let add = Operator("_foreach_add_", "Scalar")
    static let lerp = Operator("_foreach_lerp_", "Scalar")
}

/// The numbers of AdamW. The learning rate is given step by step.
public struct AdamWSettings: Codable, Sendable, Equatable {
    /// Decay of the first moments, below 1.
    public var beta1 = 0.9
    /// Decay of the second moments, below 1; 0.95 helps short runs.
    public var beta2 = 0.999
    /// Added to the root of the second moments.
    public var epsilon = 1e-8
    /// Decoupled decay of every trained parameter, in units of the learning rate.
    public var weightDecay = 0.0

    /// The defaults of PyTorch, but without weight decay, as published.
    public init() {}
}

/// AdamW (Loshchilov and Hutter 2019) over a list of parameters, in libtorch's fused form; decay on every one of them.
public final class AdamW {
    /// What is updated, in the order of the moments.
    public let parameters: [NamedParameter]
    /// The numbers that stay the same from step to step.
    public let settings: AdamWSettings
    /// Running means of the gradients, one tensor like each parameter.
    public let firstMoments: [Tensor]
    /// Running means of the squared gradients, one tensor like each parameter.
    public let secondMoments: [Tensor]
    private let steps: [Tensor]

    /// Moments start at zero; `step` is the number of updates made so far.
    public init(_ parameters: [NamedParameter], _ settings: AdamWSettings, step: Int = 0) {
        self.parameters = parameters
        self.settings = settings
        firstMoments = parameters.map { .zeros(like: $0.parameter.value.detached()) }
        secondMoments = parameters.map { .zeros(like: $0.parameter.value.detached()) }
        steps = parameters.map { .full([], Double(step), on: $0.parameter.value.device) }
    }

    /// Moves the count of updates, from which the bias corrections follow.
    public func setStep(_ step: Int) {
        for var tensor in steps { tensor.assign(.full([], Double(step))) }
    }

    /// One update from the gradients that the parameters hold; every one of them must have one.
    public func update(learningRate: Double) {
        withoutGradients {
            Op.add.run(TensorList(steps), 1)
            Op.adamW.run(
                TensorList(parameters.map(\.parameter.value)), TensorList(parameters.gradients),
                TensorList(firstMoments), TensorList(secondMoments), TensorList([]), TensorList(steps), learningRate,
                settings.beta1, settings.beta2, settings.weightDecay, settings.epsilon, false, false)
            // Unlike other operators, those on lists do not count their writes.
            for entry in parameters { ct_count_write(entry.parameter.value.handle.raw) }
        }
    }
}

/// What happens to the gradients of all trained parameters together.
extension [NamedParameter] {
    /// Those that the optimiser changes.
    public var trained: [NamedParameter] { filter(\.parameter.isTrained) }

    /// The gradients, in order; parameters must have one.
    var gradients: [Tensor] { map { $0.parameter.value.gradient ?? .nothing } }

    /// Removes the gradients, so that the next backward pass starts anew.
    public func removeGradients() {
        for entry in self { entry.parameter.value.setGradient(nil) }
    }

    /// Gives parameters that the backward pass did not reach a gradient of zero: the optimiser goes on for them.
    public func fillMissingGradients() {
        for entry in self where entry.parameter.value.gradient == nil {
            let value = entry.parameter.value
            within(entry.name) { value.setGradient(.zeros(like: value.detached())) }
        }
    }

    /// The Euclidean norm of all gradients together, as a scalar on their device.
    public func gradientNorm() -> Tensor {
        let gradients = gradients
        return withoutGradients {
            Tensor.stack(Op.norms.list(TensorList(gradients), 2, capacity: gradients.count)).norm()
        }
    }

    /// Scales all gradients, whose norm is `norm`, by min(1, maximum / (norm + 1e-6)); `maximum` 0 leaves them.
    public func clipGradients(ofNorm norm: Double, toNorm maximum: Double) {
        let factor = maximum / (norm + 1e-6)
        if maximum > 0, factor < 1 { withoutGradients { Op.scale.run(TensorList(gradients), factor) } }
    }
}

/// A running average of parameters: average = decay * average + (1 - decay) * value after every step, starting as a copy.
public struct ExponentialMovingAverage: Sendable {
    /// The share of the average that a step keeps, in [0, 1).
    public let decay: Double
    /// One tensor like each parameter, in their order.
    public let averages: [Tensor]

    /// Copies the values as they are, which takes as much memory again; of those for which `places` has a tensor of their name,
    /// into that one.
    public init(of parameters: [NamedParameter], decay: Double, into places: [String: Tensor] = [:]) {
        self.decay = decay
        averages = parameters.map { entry in
            let value = entry.parameter.value.detached()
            guard var place = places[entry.name] else { return value.copied() }
            place.assign(value)
            return place
        }
    }

    /// Moves the averages toward the values; the parameters are those of the start, in the same order.
    public func update(_ parameters: [NamedParameter]) {
        withoutGradients {
            Op.lerp.run(TensorList(averages), TensorList(parameters.map(\.parameter.value)), 1 - decay)
        }
    }
}
