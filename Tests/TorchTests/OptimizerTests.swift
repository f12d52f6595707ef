import Foundation
import TestSupport
import Testing
import Torch

/// AdamW as Loshchilov and Hutter (2019) write it, in float64.
private struct ReferenceAdamW {
    var value: [Double]
    var first: [Double]
    var second: [Double]
    var step = 0

    init(_ value: [Double]) {
        self.value = value
        first = .init(repeating: 0, count: value.count)
        second = first
    }

    mutating func update(_ gradient: [Double], rate: Double, _ s: AdamWSettings) {
        step += 1
        for i in value.indices {
            value[i] -= rate * s.weightDecay * value[i]
            first[i] = s.beta1 * first[i] + (1 - s.beta1) * gradient[i]
            second[i] = s.beta2 * second[i] + (1 - s.beta2) * gradient[i] * gradient[i]
            let mean = first[i] / (1 - pow(s.beta1, Double(step)))
            let square = second[i] / (1 - pow(s.beta2, Double(step)))
            value[i] -= rate * mean / (sqrt(square) + s.epsilon)
        }
    }
}

extension EngineTests {
    @Suite struct OptimizerTests {
        private var settings: AdamWSettings {
            var settings = AdamWSettings()
            settings.weightDecay = 0.1
            settings.beta2 = 0.95
            return settings
        }

        /// The gradient of step `step`, different in size from element to element and from step to step.
        private func gradient(_ count: Int, _ step: Int) -> [Double] {
            pattern(count, 0.3 * Double(step)).enumerated().map { $1 * Double($0 + 1) / Double(step + 1) }
        }

        private func setGradient(_ parameter: Parameter, _ gradient: [Double]) {
            [NamedParameter](of: parameter).removeGradients()
            (parameter.value * Tensor(gradient, shape: parameter.value.shape).to(.F32)).sum().backward()
        }

        /// Values of size 1 are rounded in each of 20 steps by 6e-8 at most; 3e-6 leaves room for the moments'
        /// rounding, and is a 1/3000 of one update.
        @Test(arguments: [true, false])
        func twentyStepsAgreeWithTheFormula(isFused: Bool) {
            let start = [pattern(6), pattern(4, 2)]
            let parameters = [Parameter(start[0], shape: [2, 3]), Parameter(start[1], shape: [4])]
            let optimizer = AdamW(.init(of: parameters[0], parameters[1]), settings)
            var references = start.map { ReferenceAdamW($0) }
            for step in 0..<20 {
                let rate = 1e-2 * (1 - Double(step) / 40)
                for (index, parameter) in parameters.enumerated() {
                    let gradient = gradient(parameter.value.count, step + index)
                    setGradient(parameter, gradient)
                    references[index].update(gradient.map { Double(Float($0)) }, rate: rate, settings)
                }
                Kernels.$areFused.withValue(isFused) { optimizer.update(learningRate: rate) }
            }
            for (index, reference) in references.enumerated() {
                expectClose(parameters[index].value.doubles, reference.value, 3e-6)
                expectClose(optimizer.firstMoments[index].doubles, reference.first, 3e-6)
                expectClose(optimizer.secondMoments[index].doubles, reference.second, 3e-6)
            }
        }

        /// Of a large, a fixed and a small parameter: the values and averages after three steps, and the norm of the
        /// last gradients.
        private func threeSteps(isFused: Bool) -> [[Double]] {
            let count = 40_000  // several parts of 8,192 numbers, and several threads
            let large = Parameter(pattern(count), shape: [count])
            let fixed = Parameter([3], .ones, isTrained: false, on: .cpu)
            fixed.assign(.full([3], 1))
            let small = Parameter(pattern(5, 1), shape: [5])
            let all = [NamedParameter](of: large, fixed, small)
            let optimizer = AdamW(all.trained, settings)
            let average = ExponentialMovingAverage(of: all, decay: 0.75)
            fixed.assign(Tensor([1, 2, 3]))
            var norm = 0.0
            for step in 0..<3 {
                setGradient(large, pattern(count, Double(step)))
                setGradient(small, gradient(5, step))
                Kernels.$areFused.withValue(isFused) {
                    norm = all.trained.gradientNorm().item()
                    optimizer.update(learningRate: 1e-2, gradientFactor: 0.5, averaging: average)
                }
            }
            return all.map(\.parameter.value.doubles) + average.averages.map(\.doubles) + [[norm]]
        }

        /// Values of size 1 differ by the rounding of three steps.
        @Test func onePassComputesWhatTheOperatorsDo() {
            let (fused, plain) = (threeSteps(isFused: true), threeSteps(isFused: false))
            for (index, values) in plain.enumerated() {
                expectClose(fused[index], values, index == plain.count - 1 ? 1e-6 * values[0] : 1e-6)
            }
            // 3/4 of 1 and 1/4 of the value in each step: value + (1 - value) (3/4)^3.
            let remaining = 27.0 / 64
            let expected = [1, 2 - remaining, 3 - 2 * remaining]
            #expect(fused[4] == expected)
        }

        @Test func threadsDoNotChangeABit() {
            let threads = Library.threads
            defer { Library.setThreads(threads) }
            let results = [1, 2, 3].map { count in
                Library.setThreads(count)
                return threeSteps(isFused: true)
            }
            let areEqual = results[1...].allSatisfy { $0 == results[0] }
            #expect(areEqual)
        }

        @Test func anOptimizerThatContinuesMakesTheSameBits() {
            let whole = Parameter(pattern(8), shape: [8])
            let first = AdamW(.init(of: whole), settings)
            for step in 0..<3 {
                setGradient(whole, gradient(8, step))
                first.update(learningRate: 1e-2)
            }
            let continued = Parameter(whole.value.doubles, shape: [8])
            let second = AdamW(.init(of: continued), settings, step: 1)
            second.setStep(3)
            for (target, source) in [
                (second.firstMoments[0], first.firstMoments[0]), (second.secondMoments[0], first.secondMoments[0]),
            ] {
                var target = target
                target.assign(source)
            }
            for step in 3..<6 {
                for (parameter, optimizer) in [(whole, first), (continued, second)] {
                    setGradient(parameter, gradient(8, step))
                    optimizer.update(learningRate: 1e-2)
                }
            }
            #expect(continued.value.doubles == whole.value.doubles)
        }

        /// factor = min(1, maximum / (norm + 1e-6)), over all gradients together: sqrt(3^2 + 4^2 + 12^2) = 13.
        @Test(arguments: [(13, 13 / (13 + 1e-6)), (6.5, 6.5 / (13 + 1e-6)), (20, 1), (0, 1)] as [(Double, Double)])
        func clippingScalesAllGradientsTogether(maximum: Double, factor: Double) {
            let (a, b) = (Parameter([0, 0], shape: [2]), Parameter([0], shape: [1]))
            setGradient(a, [3, -4])
            setGradient(b, [12])
            let both = [NamedParameter](of: a, b)
            let norm = both.gradientNorm().item()
            #expect(norm == 13)
            #expect(clippingFactor(ofNorm: norm, toNorm: maximum) == factor)
            // Without moments so far, the first ones are a tenth of the clipped gradients, rounded to float32.
            let optimizer = AdamW(both, settings)
            optimizer.update(learningRate: 1e-2, gradientFactor: factor)
            expectClose(optimizer.firstMoments[0].doubles, [0.3 * factor, -0.4 * factor], 1e-7)
            expectClose(optimizer.firstMoments[1].doubles, [1.2 * factor], 1e-7)
        }

        @Test func theAverageStartsAsACopyAndFollows() {
            let parameter = Parameter([1, -2], shape: [2])
            let average = ExponentialMovingAverage(of: .init(of: parameter), decay: 0.75)
            #expect(average.averages[0].doubles == [1, -2])
            parameter.assign(Tensor([5, 2]))
            #expect(average.averages[0].doubles == [1, -2])
            // 3/4 and 1/4 are exact: 0.75 * 1 + 0.25 * 5 = 2, then 0.75 * 2 + 0.25 * 5 = 2.75.
            average.update()
            #expect(average.averages[0].doubles == [2, -1])
            average.update()
            #expect(average.averages[0].doubles == [2.75, -0.25])
        }

        /// A parameter that the backward pass did not reach goes on as with a gradient of zero: moments decay, and the
        /// value moves by them and by the decay.
        @Test func missingGradientsAreZeros() {
            let (reached, missed) = (Parameter(pattern(4), shape: [4]), Parameter(pattern(4, 1), shape: [4]))
            let all = [NamedParameter](of: reached, missed)
            let optimizer = AdamW(all, settings)
            var reference = ReferenceAdamW(pattern(4, 1))
            setGradient(reached, gradient(4, 0))
            setGradient(missed, gradient(4, 1))
            optimizer.update(learningRate: 1e-2)
            reference.update(gradient(4, 1).map { Double(Float($0)) }, rate: 1e-2, settings)

            all.removeGradients()
            setGradient(reached, gradient(4, 2))
            all.fillMissingGradients()
            #expect(missed.value.gradient?.doubles == [0, 0, 0, 0])
            #expect(reached.value.gradient?.doubles == gradient(4, 2).map { Double(Float($0)) })
            optimizer.update(learningRate: 1e-2)
            reference.update([0, 0, 0, 0], rate: 1e-2, settings)
            expectClose(missed.value.doubles, reference.value, 1e-6)
        }

        @Test func fixedParametersAreLeftOut() {
            let fixed = Parameter([1], .ones, isTrained: false, on: .cpu)
            let moving = Parameter([1], shape: [1])
            #expect([NamedParameter](of: fixed, moving).trained.map(\.name) == ["1"])
        }
    }
}
