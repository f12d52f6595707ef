import Diffusion
import Foundation
import Models
import TestSupport
import Testing
import Torch

/// A network whose velocity is known: silu(strength of the label) all over channel 0, and -2 times that in channel 1.
///
/// The final scale of -1 removes the tokens; what is left is the shift, here the label's first number after SiLU.
private func labelFlow(_ strengths: [Float]) -> SiT {
    var configuration = small
    configuration.classes = strengths.count - 1
    let network = SiT(configuration)
    network.initialise(stage: "flow", seed: 0)
    func set(_ name: String, _ value: (_ index: Int) -> Float) {
        let parameter = network.parameter(name)
        parameter.assign(Tensor((0..<parameter.value.count).map(value), shape: parameter.value.shape))
    }
    let hidden = configuration.hidden
    set("t_embedder.mlp.2.weight") { _ in 0 }
    set("y_embedder.embedding_table.weight") { $0 % hidden == 0 ? strengths[$0 / hidden] : 0 }
    set("final_layer.adaLN_modulation.1.weight") { $0 == 0 ? 1 : 0 }
    set("final_layer.adaLN_modulation.1.bias") { $0 < hidden ? 0 : -1 }
    // Outputs are (row, column, channel): the channel is the parity.
    set("final_layer.linear.weight") { $0 % hidden == 0 ? ($0 / hidden % 2 == 0 ? 1 : -2) : 0 }
    return network
}

private func silu(_ x: Float) -> Double { Double(x) / (1 + exp(-Double(x))) }

extension MethodTests {
    @Suite struct SamplerTests {
        private let noise = Tensor.normal([2, 2, 4, 4], item: 0)
        private let labels = Tensor([0, 1])

        private func sample(_ network: SiT, _ sampler: Sampler, path: ProbabilityPath = .linear) -> Tensor {
            sampler(network, noise, labels, path: path) { .normal([2, 2, 4, 4], item: $0) }
        }

        /// Each element of noise − Σ dt · velocity, for a velocity that depends on label and channel only.
        private func integrated(_ velocity: (_ label: Int, _ channel: Int) -> Double) -> [Double] {
            noise.doubles.enumerated().map { $1 - velocity($0 / 32, $0 / 16 % 2) }
        }

        @Test(arguments: [Sampler.Mode.ode, .heun])
        func aNewNetworkLeavesTheNoise(mode: Sampler.Mode) {
            let network = SiT(small)
            network.initialise(stage: "align", seed: 0)
            let samples = sample(network, Sampler(mode: mode, steps: 3, guidance: Guidance(scale: 2)))
            #expect(samples.type == .F64)
            #expect(samples.doubles == noise.doubles)
        }

        /// Once a step; Heun's method twice but for the last; each once more where guidance acts: at 1, 0.75 and 0.5 of the four
        /// times of the ODE, at 1 and 0.68 of those of the SDE, 1, 0.68, 0.36 and 0.04.
        @Test(arguments: [(Sampler.Mode.ode, 4, 7), (.heun, 7, 13), (.sde, 4, 6)])
        func aSampleGoesThroughTheNetworkForEachSlope(mode: Sampler.Mode, plain: Int, guided: Int) {
            #expect(Sampler(mode: mode, steps: 4).networkPasses == plain)
            let guidance = Guidance(scale: 2, low: 0.5)
            #expect(Sampler(mode: mode, steps: 4, guidance: guidance).networkPasses == guided)
        }

        /// A constant velocity is integrated without error; the network computes it in float32.
        @Test(arguments: [Sampler.Mode.ode, .heun], [1, 2, 7])
        func aConstantFlowIsFollowedExactly(mode: Sampler.Mode, steps: Int) {
            let samples = sample(labelFlow([1, -2, 0.5]), Sampler(mode: mode, steps: steps))
            expectClose(
                samples.doubles, integrated { silu($0 == 0 ? 1 : -2) * ($1 == 0 ? 1 : -2) }, 1e-6)
        }

        /// Steps begin at 1, 3/4, 1/2, 1/4; Heun's second evaluation is guided where its first is.
        @Test(
            arguments: [Sampler.Mode.ode, .heun],
            [
                (0, 1, 4), (0.5, 0.75, 2), (0.6, 0.7, 0), (0.75, 0.75, 1), (0, 0.1, 0), (0.8, 1, 1),
            ] as [(Double, Double, Double)])
        func guidanceCountsInItsInterval(mode: Sampler.Mode, interval: (Double, Double, Double)) {
            let (low, high, guidedSteps) = interval
            for channels in [nil, 1, 2] {
                let guidance = Guidance(scale: 3, low: low, high: high, channels: channels)
                let samples = sample(labelFlow([1, -2, 0.5]), Sampler(mode: mode, steps: 4, guidance: guidance))
                let expected = integrated { label, channel in
                    let conditional = silu(label == 0 ? 1 : -2)
                    let guided = silu(0.5) + 3 * (conditional - silu(0.5))
                    let share = channel < channels ?? 2 ? guidedSteps / 4 : 0
                    return (share * guided + (1 - share) * conditional) * (channel == 0 ? 1 : -2)
                }
                expectClose(samples.doubles, expected, 3e-6, "\(channels ?? 0) channels")
            }
        }

        /// A null class of NaN is seen as soon as it is evaluated once.
        @Test(
            arguments: [
                (.ode, 2, 0, 1, true), (.ode, 1, 0, 1, false), (.ode, 2, 0.6, 0.7, false), (.ode, 2, 0.5, 0.5, true),
                (.heun, 2, 0.6, 0.7, false), (.heun, 2, 0, 0.1, false), (.sde, 2, 0.97, 0.99, false),
                (.sde, 2, 0.04, 0.04, true), (.sde, 1, 0, 1, false),
            ] as [(Sampler.Mode, Double, Double, Double, Bool)])
        func theNullClassIsEvaluatedOnlyWhereGuided(
            mode: Sampler.Mode, scale: Double, low: Double, high: Double, isEvaluated: Bool
        ) {
            let guidance = Guidance(scale: scale, low: low, high: high)
            let samples = sample(labelFlow([1, -2, .nan]), Sampler(mode: mode, steps: 4, guidance: guidance))
            #expect(samples.isFinite == !isEvaluated)
        }

        /// Euler-Maruyama for every element by itself in float64. With velocity v the two unknowns of
        /// x = alpha x0 + sigma n and v = alpha' x0 + sigma' n are known; the score is -n / sigma.
        @Test(arguments: ProbabilityPath.allCases, [1, 2, 5])
        func theStochasticSamplerFollowsItsFormula(path: ProbabilityPath, steps: Int) {
            let samples = sample(labelFlow([1, -2, 0.5]), Sampler(mode: .sde, steps: steps), path: path)
            let increments = (0..<steps).map { Tensor.normal([2, 2, 4, 4], item: $0).doubles }
            let expected = noise.doubles.enumerated().map { index, start in
                let velocity = silu(index < 32 ? 1 : -2) * (index / 16 % 2 == 0 ? 1 : -2)
                func drift(_ x: Double, _ t: Double) -> Double {
                    let c = path.coefficients(t)
                    let determinant = c.alpha * c.sigmaRate - c.sigma * c.alphaRate
                    let noise = (c.alpha * velocity - c.alphaRate * x) / determinant
                    return velocity + t * noise / c.sigma
                }
                var (x, t) = (start, 1.0)
                for step in 1..<max(1, steps) {
                    let length = 0.96 / Double(steps - 1)
                    x += -length * drift(x, t) + sqrt(2 * t * length) * increments[step][index]
                    t -= length
                }
                return x - t * drift(x, t)
            }
            // The velocity's rounding to float32, magnified a few times by the drift.
            expectClose(samples.doubles, expected, 1e-5)
        }

        @Test(arguments: Sampler.Mode.allCases)
        func everyStepIsReportedAndDrawsItsIncrement(mode: Sampler.Mode) {
            var (drawn, reported): ([Int], [Int]) = ([], [])
            let sampler = Sampler(mode: mode, steps: 4)
            _ = sampler(labelFlow([1, 2, 3]), noise, labels, path: .linear) { step in
                drawn.append(step)
                return .zeros([2, 2, 4, 4])
            } progress: {
                reported.append($0)
            }
            #expect(drawn == (mode == .sde ? [1, 2, 3] : []))
            #expect(reported == [1, 2, 3, 4])
        }

        @Test func samplingRecordsNothing() throws {
            let network = labelFlow([1, 2, 3])
            let error = #expect(throws: TorchError.self) {
                try withErrors { sample(network, Sampler(steps: 2)).sum().backward() }
            }
            #expect(error?.description.contains("does not require grad") == true, "\(error?.description ?? "")")
        }

        @Test(arguments: [
            (1.0, 0.0, 1.0, 0.5, false), (0.5, 0, 1, 0.5, false), (2, 0, 0.65, 0.65, true), (2, 0, 0.65, 0.66, false),
        ])
        func guidanceIsActiveInItsInterval(scale: Double, low: Double, high: Double, t: Double, isActive: Bool) {
            #expect(Guidance(scale: scale, low: low, high: high).isActive(at: t) == isActive)
        }
    }
}
