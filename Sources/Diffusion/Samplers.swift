import Models
import Torch

/// Makes samples from noise, from t = 1 to t = 0. The state is float64; the network runs in its own type.
public struct Sampler: Codable, Sendable, Equatable {
    /// The solvers.
    public enum Mode: String, Codable, Sendable, CaseIterable {
        /// Euler's method on equal steps of the probability-flow ODE.
        case ode
        /// Heun's method on equal steps; the last step is Euler's.
        case heun
        /// Euler-Maruyama with diffusion w(t) = 2t from 1 to 0.04, then one step without noise.
        case sde
    }

    /// The allowed numbers of steps.
    public static let stepRange = 1...100_000
    /// The time at which the noisy steps of the SDE end.
    static let lastNoisyTime = 0.04

    /// The solver.
    public var mode = Mode.ode
    /// The number of steps, in `stepRange`; each evaluates the network once, `heun` twice except in the last.
    public var steps = 50
    /// Classifier-free guidance; it doubles the evaluations wherever it acts.
    public var guidance = Guidance()

    /// Creates a sampler without checking the values; `problem` does that.
    public init(mode: Mode = .ode, steps: Int = 50, guidance: Guidance = Guidance()) {
        self.mode = mode
        self.steps = steps
        self.guidance = guidance
    }

    /// The reason why the settings are impossible, in one sentence; nil if they are valid.
    public var problem: String? {
        if !Self.stepRange.contains(steps) {
            return "the solver's steps must be 1 to \(Self.stepRange.upperBound), not \(steps)"
        }
        if !Guidance.scaleRange.contains(guidance.scale) {
            return "the scale of guidance must be 1 (off) or more, not \(guidance.scale)"
        }
        if !(0 <= guidance.low && guidance.low <= guidance.high && guidance.high <= 1) {
            return "the interval of guidance [\(guidance.low), \(guidance.high)] must satisfy 0 <= low <= high <= 1"
        }
        if let channels = guidance.channels, channels < 1 { return "1 or more channels can be guided, not \(channels)" }
        return nil
    }

    /// The number of network passes for a sample; a guided evaluation counts twice.
    public var networkPasses: Int {
        times.prefix(steps).enumerated().reduce(0) { sum, step in
            let evaluations = mode == .heun && step.offset < steps - 1 ? 2 : 1
            return sum + evaluations * (guidance.isActive(at: step.element) ? 2 : 1)
        }
    }

    /// The times of the steps; for the ODE also the final 0.
    private var times: [Double] {
        mode == .sde ? linspace(1, Self.lastNoisyTime, steps) : linspace(1, 0, steps + 1)
    }

    /// Samples from noise [B, C, R, R] and labels [B] -> samples [B, C, R, R] in float64.
    ///
    /// `increment` returns the standard normal draws of the SDE's noisy steps, [B, C, R, R] for steps 1, 2, ...;
    /// `progress` is called after each step and ends the sampling by throwing.
    public func callAsFunction(
        _ network: SiT, _ noise: Tensor, _ labels: Tensor, path: ProbabilityPath,
        increment: (_ step: Int) -> Tensor, progress: (_ step: Int) throws -> Void
    ) rethrows -> Tensor {
        let flow = Flow(network: network, labels: labels, guidance: guidance, path: path)
        return try withoutGradients {
            try mode == .sde
                ? stochastic(flow, noise.to(.F64), increment, progress)
                : deterministic(flow, noise.to(.F64), progress)
        }
    }

    /// Samples without reporting progress.
    public func callAsFunction(
        _ network: SiT, _ noise: Tensor, _ labels: Tensor, path: ProbabilityPath, increment: (_ step: Int) -> Tensor
    ) -> Tensor {
        self(network, noise, labels, path: path, increment: increment, progress: { _ in })
    }

    private func deterministic(_ flow: Flow, _ noise: Tensor, _ progress: (Int) throws -> Void) rethrows -> Tensor {
        let times = times
        var x = noise
        for step in 0..<steps {
            let (t, next) = (times[step], times[step + 1])
            let isGuided = guidance.isActive(at: t)
            var slope = flow.velocity(x, t, isGuided: isGuided)
            if mode == .heun, step < steps - 1 {
                // The second evaluation is guided if the first is, even when its own time lies outside the interval.
                let ahead = flow.velocity(x + (next - t) * slope, next, isGuided: isGuided)
                slope = (slope + ahead) / 2
            }
            x = x + (next - t) * slope
            try progress(step + 1)
        }
        return x
    }

    private func stochastic(
        _ flow: Flow, _ noise: Tensor, _ increment: (Int) -> Tensor, _ progress: (Int) throws -> Void
    ) rethrows -> Tensor {
        let times = times
        var x = noise
        for (step, (t, next)) in zip(times, times.dropFirst()).enumerated() {
            let noisy = (2 * t * (t - next)).squareRoot() * increment(step + 1).to(.F64)
            x = x + (next - t) * flow.drift(x, t) + noisy
            try progress(step + 1)
        }
        let t = times[steps - 1]
        x = x - t * flow.drift(x, t)
        try progress(steps)
        return x
    }
}

/// `count` equal steps from `first` to `last`, each half counted from its own end as in torch.linspace, so that a time
/// lies on the same side of a guidance bound.
private func linspace(_ first: Double, _ last: Double, _ count: Int) -> [Double] {
    if count == 1 { return [first] }
    let interval = (last - first) / Double(count - 1)
    return (0..<count).map {
        $0 < count / 2 ? first + Double($0) * interval : last - Double(count - 1 - $0) * interval
    }
}

/// The learned flow for one set of labels.
private struct Flow {
    let network: SiT
    let labels: Tensor
    let guidance: Guidance
    let path: ProbabilityPath

    /// The velocity dx/dt of the probability-flow ODE.
    func velocity(_ x: Tensor, _ t: Double, isGuided: Bool) -> Tensor {
        evaluate(x, t, isGuided: isGuided) { velocity, _ in velocity }
    }

    /// The drift dx/dt of the SDE with diffusion 2t: v - t * score.
    func drift(_ x: Tensor, _ t: Double) -> Tensor {
        evaluate(x, t, isGuided: guidance.isActive(at: t)) { velocity, x in velocity - t * score(velocity, x, t) }
    }

    private func evaluate(
        _ x: Tensor, _ t: Double, isGuided: Bool, _ slope: (_ velocity: Tensor, _ x: Tensor) -> Tensor
    ) -> Tensor {
        let (states, seen) =
            isGuided
            ? (Tensor.concatenate([x, x]), .concatenate([labels, network.nullLabels(like: labels)])) : (x, labels)
        let times = Tensor.full([states.size(0)], t, on: x.device)
        let output = network(states.to(.F32), times, seen).velocity!.to(.F64)
        let slopes = slope(output, states)
        guard isGuided else { return slopes }
        let parts = slopes.chunked(2, axis: 0)
        return guidance.combine(conditional: parts[0], unconditional: parts[1])
    }

    /// The score of p_t from the velocity: (r v - x) / (sigma^2 - r sigma' sigma), r = alpha / alpha'.
    private func score(_ velocity: Tensor, _ x: Tensor, _ t: Double) -> Tensor {
        let c = path.coefficients(t)
        let r = c.alpha / c.alphaRate
        return (r * velocity - x) / (c.sigma * c.sigma - r * c.sigmaRate * c.sigma)
    }
}
