import Diffusion
import Foundation
import Testing
import Torch

extension MethodTests {
    @Suite struct TrainingDrawsTests {
        private let draws = Draws(seed: 11)

        private func step(
            _ step: Int, batch: Int = 6, path: ProbabilityPath = .linear, _ sampling: TimeSampling = .uniform,
            labelDrop: Double = 0.5
        ) -> TrainingDraws {
            TrainingDraws(
                draws, step: step, batch: batch, elementsPerSample: 5, path: path, sampling: sampling,
                labelDrop: labelDrop)
        }

        @Test func everyNumberHasItsAddress() {
            let drawn = step(4)
            for item in 0..<6 {
                #expect(drawn.times[item] == draws.uniforms(.time, step: 4, item: item, count: 1)[0])
                #expect(
                    Array(drawn.noise[5 * item..<5 * item + 5])
                        == draws.normals(.noise, step: 4, item: item, count: 5))
                let uniform = draws.uniforms(.labelDrop, step: 4, item: item, count: 1)[0]
                #expect(drawn.labelDropped[item] == (uniform < 0.5))
            }
        }

        @Test func aSmallerBatchSeesTheSameNumbers() {
            let (large, small) = (step(4), step(4, batch: 2))
            #expect(small.times == Array(large.times[..<2]))
            #expect(small.noise == Array(large.noise[..<10]))
            #expect(small.labelDropped == Array(large.labelDropped[..<2]))
            #expect(step(5).times != large.times && step(5).noise != large.noise)
        }

        /// Each of B parts of [0, 1) once, in an order that changes from step to step; uniform within a part: the means of 400
        /// steps are within four deviations of 1/2, 4 sqrt(1 / 12 / 400) = 0.058.
        @Test func stratifiedTimesFallIntoEachPartOnce() {
            let parts = (0..<400).map { step($0, batch: 8, .stratified).times.map { Int(8 * $0) } }
            #expect(parts.allSatisfy { $0.sorted() == Array(0..<8) })
            #expect(Set(parts).count > 390)
            for item in 0..<8 {
                let places = (0..<400).map { step -> Double in
                    let t = 8 * Double(self.step(step, batch: 8, .stratified).times[item])
                    return t - t.rounded(.down)
                }
                #expect(abs(places.reduce(0, +) / 400 - 0.5) < 0.058)
                #expect(abs(Double(parts.map { $0[item] }.reduce(0, +)) / 400 - 3.5) < 0.46)
            }
            let window = TimeWindow(0.4, 0.7)
            let counts = (0..<50).map { step($0, batch: 250, .stratified).times.count(where: window.contains) }
            #expect(counts.allSatisfy { (74...76).contains($0) })
        }

        /// sigma / alpha = exp(n). Times are rounded to float32, which near t = 1 moves the ratio by 6e-8 / (1 - t).
        @Test(arguments: ProbabilityPath.allCases)
        func lognormalTimesFollowTheNoiseLevel(path: ProbabilityPath) {
            let drawn = step(4, batch: 50, path: path, .lognormal)
            for item in 0..<50 {
                let level = exp(Double(draws.normals(.time, step: 4, item: item, count: 1)[0]))
                let c = path.coefficients(Double(drawn.times[item]))
                #expect(abs(c.sigma / c.alpha / level - 1) < 1e-5)
            }
        }

        /// 2,000 labels at probability 0.1: within four standard deviations, 4 sqrt(2000 * 0.1 * 0.9) = 54.
        @Test func labelsAreDroppedWithTheirProbability() {
            #expect(abs(step(0, batch: 2000, labelDrop: 0.1).labelDropped.count { $0 } - 200) < 54)
            #expect(!step(0, batch: 200, labelDrop: 0).labelDropped.contains(true))
            #expect(!step(0, batch: 200, labelDrop: 1).labelDropped.contains(false))
        }

        @Test func partsOfABatchHoldTheirSamples() {
            let drawn = step(4)
            let clean = (0..<30).map { Float($0) }
            let labels = [0, 1, 2, 0, 1, 2]
            func part(_ range: Range<Int>) -> Batch {
                drawn.batch(range, clean: clean, labels: labels, shape: [1, 1, 5], classes: 3, on: .cpu)
            }
            let (whole, tail) = (part(0..<6), part(4..<6))
            #expect(whole.clean.shape == [6, 1, 1, 5])
            #expect(whole.clean.values() == clean)
            #expect(whole.noise.values() == drawn.noise)
            #expect(tail.clean.values() == Array(clean[20...]))
            #expect(tail.noise.values() == Array(drawn.noise[20...]))
            #expect(tail.times == Array(drawn.times[4...]))
            #expect(tail.globalTimes == drawn.times)
            #expect(tail.labels.values() == [1, 2])
            let seen = zip(labels, drawn.labelDropped).map { $1 ? 3 : $0 }
            #expect(whole.labels.values() == labels)
            #expect(whole.seenLabels.values() == seen)
            #expect(Set(drawn.labelDropped).count == 2, "both kinds must occur for this test to see them")
        }
    }
}
