import CTorch
import Formats

private enum Op {
    static let adamW = Operator("_fused_adamw_")
    static let norms = Operator("_foreach_norm", "Scalar")
    static let scale = Operator("_foreach_mul_", "Scalar")
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

/// AdamW (Loshchilov and Hutter 2019) over a list of parameters; weight decay applies to all of them.
public final class AdamW {
    /// The parameters that are updated, in the order of the moments.
    public let parameters: [NamedParameter]
    /// The hyperparameters, which are the same for all steps.
    public let settings: AdamWSettings
    /// The running means of the gradients, one tensor per parameter.
    public let firstMoments: [Tensor]
    /// The running means of the squared gradients, one tensor per parameter.
    public let secondMoments: [Tensor]
    private var step: Int

    /// Creates an optimiser with zero moments; `step` is the number of updates made so far.
    public init(_ parameters: [NamedParameter], _ settings: AdamWSettings, step: Int = 0) {
        self.parameters = parameters
        self.settings = settings
        firstMoments = parameters.map { .zeros(like: $0.parameter.value.detached()) }
        secondMoments = parameters.map { .zeros(like: $0.parameter.value.detached()) }
        self.step = step
    }

    /// Sets the number of updates, which determines the bias corrections.
    public func setStep(_ step: Int) { self.step = step }

    /// Makes one update from the gradients of the parameters, multiplied by `gradientFactor`; each must have one. Then
    /// updates `average`, whose trained parameters must be this optimiser's, in the same order.
    public func update(
        learningRate: Double, gradientFactor: Double = 1, averaging average: ExponentialMovingAverage? = nil
    ) {
        step += 1
        let isDone = withoutGradients { Kernels.areFused && updateInOnePass(learningRate, gradientFactor, average) }
        guard !isDone else { return }
        withoutGradients {
            let gradients = TensorList(parameters.gradients)
            if gradientFactor != 1 { Op.scale.run(gradients, gradientFactor) }
            let step = Tensor.full([], Double(step), on: parameters.first?.parameter.value.device ?? .cpu)
            let steps = [Tensor](repeating: step, count: parameters.count)
            Op.adamW.run(
                TensorList(parameters.values), gradients, TensorList(firstMoments), TensorList(secondMoments),
                TensorList([]), TensorList(steps), learningRate, settings.beta1, settings.beta2, settings.weightDecay,
                settings.epsilon, false, false)
            // Unlike other operators, operators on lists do not count their writes.
            for value in parameters.values { ct_count_write(value.handle.raw) }
        }
        average?.update()
    }

    /// The same in one pass over the memory of the CPU; false if there are other tensors than those of the kernel.
    private func updateInOnePass(_ rate: Double, _ factor: Double, _ average: ExponentialMovingAverage?) -> Bool {
        guard !Failure.isPending else { return false }
        let all = average?.parameters ?? parameters
        let places = all.indices.filter { all[$0].parameter.isTrained }
        precondition(places.count == parameters.count, "the average is not that of the optimiser's parameters")
        func spread(_ own: [Tensor]) -> [Tensor?] {
            var spread = [Tensor?](repeating: nil, count: all.count)
            for (place, tensor) in zip(places, own) { spread[place] = tensor }
            return spread
        }
        let lists = [
            all.values, spread(parameters.gradients), spread(firstMoments), spread(secondMoments),
            average?.averages ?? spread([]),
        ]
        let handles = lists.map { $0.map { $0?.handle.raw } }
        let count = Int32(all.count)
        guard handles.allSatisfy({ ct_are_dense($0, count) }) else { return false }
        var step = ct_adamw_step(
            learning_rate: rate, beta1: settings.beta1, beta2: settings.beta2, epsilon: settings.epsilon,
            weight_decay: settings.weightDecay, gradient_factor: factor, average_decay: average?.decay ?? 0,
            step: Int64(step))
        let status = withExtendedLifetime(lists) {
            ct_adamw(&step, count, handles[0], handles[1], handles[2], handles[3], handles[4])
        }
        if status != 0 { Failure.report("AdamW", [], Failure.lastMessage) }
        return true
    }
}

/// Operations on the gradients of all trained parameters together.
extension [NamedParameter] {
    /// The parameters that the optimiser changes.
    public var trained: [NamedParameter] { filter(\.parameter.isTrained) }

    /// The values, in order.
    fileprivate var values: [Tensor] { map(\.parameter.value) }

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
        let handles = gradients.map { Optional($0.handle.raw) }
        var norm = 0.0
        return withoutGradients {
            if !Failure.isPending, Kernels.areFused, ct_are_dense(handles, Int32(handles.count)),
                withExtendedLifetime(gradients, { ct_norm(handles, Int32(handles.count), &norm) }) == 0
            {
                return .full([], norm)
            }
            return Tensor.stack(Op.norms.list(TensorList(gradients), 2, capacity: gradients.count)).norm()
        }
    }
}

/// The factor that clips gradients whose norm is `norm`: min(1, maximum / (norm + 1e-6)); 1 if `maximum` is 0.
public func clippingFactor(ofNorm norm: Double, toNorm maximum: Double) -> Double {
    maximum > 0 ? min(1, maximum / (norm + 1e-6)) : 1
}

/// An exponential moving average (EMA) of parameters: average = decay * average + (1 - decay) * value after every step,
/// starting as a copy.
public struct ExponentialMovingAverage: Sendable {
    /// The parameters.
    public let parameters: [NamedParameter]
    /// The decay, in [0, 1).
    public let decay: Double
    /// The averages, one tensor per parameter in the same order.
    public let averages: [Tensor]

    /// Copies the current values, which doubles their memory; values for which `places` has a tensor of their name are
    /// copied into that tensor.
    public init(of parameters: [NamedParameter], decay: Double, into places: [String: Tensor] = [:]) {
        self.parameters = parameters
        self.decay = decay
        averages = parameters.map { entry in
            let value = entry.parameter.value.detached()
            guard var place = places[entry.name] else { return value.copied() }
            place.assign(value)
            return place
        }
    }

    /// Updates the averages.
    public func update() {
        withoutGradients { Op.lerp.run(TensorList(averages), TensorList(parameters.values), 1 - decay) }
        for average in averages { ct_count_write(average.handle.raw) }
    }
}
