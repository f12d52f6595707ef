import CTorch
import Formats

private enum Op {
    static let adamW = Operator("_fused_adamw_")
    static let norms = Operator("_foreach_norm", "Scalar")
    static let scale = Operator("_foreach_mul_", "Scalar")
    static let add = Operator("_foreach_add_", "Scalar")
    static let lerp = Operator("_foreach_lerp_", "Scalar")
}

/// The hyperparameters of AdamW. The learning rate is passed to each step.
public struct AdamWSettings: Codable, Sendable, Equatable {
    /// The decay of the first moments, below 1.
    public var beta1 = 0.9
    /// The decay of the second moments, below 1; 0.95 helps short runs.
    public var beta2 = 0.999
    /// The epsilon added to the root of the second moments.
    public var epsilon = 1e-8
    /// The decoupled weight decay of every trained parameter, in units of the learning rate.
    public var weightDecay = 0.0

    /// Creates PyTorch's defaults, but without weight decay, as published.
    public init() {}
}

/// AdamW (Loshchilov and Hutter 2019) over a list of parameters, in libtorch's fused form; weight decay applies to all
/// of them.
public final class AdamW {
    /// The parameters that are updated, in the order of the moments.
    public let parameters: [NamedParameter]
    /// The hyperparameters, which are the same for all steps.
    public let settings: AdamWSettings
    /// The running means of the gradients, one tensor per parameter.
    public let firstMoments: [Tensor]
    /// The running means of the squared gradients, one tensor per parameter.
    public let secondMoments: [Tensor]
    private let steps: [Tensor]

    /// Creates an optimiser with zero moments; `step` is the number of updates made so far.
    public init(_ parameters: [NamedParameter], _ settings: AdamWSettings, step: Int = 0) {
        self.parameters = parameters
        self.settings = settings
        firstMoments = parameters.map { .zeros(like: $0.parameter.value.detached()) }
        secondMoments = parameters.map { .zeros(like: $0.parameter.value.detached()) }
        steps = parameters.map { .full([], Double(step), on: $0.parameter.value.device) }
    }

    /// Sets the number of updates, which determines the bias corrections.
    public func setStep(_ step: Int) {
        for var tensor in steps { tensor.assign(.full([], Double(step))) }
    }

    /// Makes one update from the gradients of the parameters; each must have one.
    public func update(learningRate: Double) {
        withoutGradients {
            Op.add.run(TensorList(steps), 1)
            Op.adamW.run(
                TensorList(parameters.map(\.parameter.value)), TensorList(parameters.gradients),
                TensorList(firstMoments), TensorList(secondMoments), TensorList([]), TensorList(steps), learningRate,
                settings.beta1, settings.beta2, settings.weightDecay, settings.epsilon, false, false)
            // Unlike other operators, operators on lists do not count their writes.
            for entry in parameters { ct_count_write(entry.parameter.value.handle.raw) }
        }
    }
}

/// Operations on the gradients of all trained parameters together.
extension [NamedParameter] {
    /// The parameters that the optimiser changes.
    public var trained: [NamedParameter] { filter(\.parameter.isTrained) }

    /// The gradients, in order; each parameter must have one.
    var gradients: [Tensor] { map { $0.parameter.value.gradient ?? .nothing } }

    /// Removes the gradients, so that the next backward pass starts from zero.
    public func removeGradients() {
        for entry in self { entry.parameter.value.setGradient(nil) }
    }

    /// Gives parameters that the backward pass did not reach a zero gradient, so that the optimiser still updates them.
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

/// An exponential moving average (EMA) of parameters: average = decay * average + (1 - decay) * value after every step,
/// starting as a copy.
public struct ExponentialMovingAverage: Sendable {
    /// The decay, in [0, 1).
    public let decay: Double
    /// The averages, one tensor per parameter in the same order.
    public let averages: [Tensor]

    /// Copies the current values, which doubles their memory; values for which `places` has a tensor of their name are
    /// copied into that tensor.
    public init(of parameters: [NamedParameter], decay: Double, into places: [String: Tensor] = [:]) {
        self.decay = decay
        averages = parameters.map { entry in
            let value = entry.parameter.value.detached()
            guard var place = places[entry.name] else { return value.copied() }
            place.assign(value)
            return place
        }
    }

    /// Updates the averages; the parameters must be the initial ones, in the same order.
    public func update(_ parameters: [NamedParameter]) {
        withoutGradients {
            Op.lerp.run(TensorList(averages), TensorList(parameters.map(\.parameter.value)), 1 - decay)
        }
    }
}
