import Diffusion
import Foundation
import TestSupport
import Testing

extension MethodTests {
    @Suite struct PathTests {
        @Test func theLinearPathMixesInProportion() {
            let c = ProbabilityPath.linear.coefficients(0.25)
            #expect([c.alpha, c.sigma, c.alphaRate, c.sigmaRate] == [0.75, 0.25, -1, 1])
        }

        @Test func theCosinePathKeepsTheVariance() {
            // cos and sin of 30 degrees.
            let c = ProbabilityPath.cosine.coefficients(1.0 / 3)
            expectClose([c.alpha, c.sigma], [sqrt(3) / 2, 0.5], 1e-15)
            for t in stride(from: 0, through: 1, by: 0.125) {
                let c = ProbabilityPath.cosine.coefficients(t)
                expectClose([c.alpha * c.alpha + c.sigma * c.sigma], [1], 1e-15)
            }
        }

        @Test(arguments: ProbabilityPath.allCases)
        func pathsGoFromDataToNoise(path: ProbabilityPath) {
            let (data, noise) = (path.coefficients(0), path.coefficients(1))
            expectClose([data.alpha, data.sigma, noise.alpha, noise.sigma], [1, 0, 0, 1], 1e-15)
        }

        /// Central differences with a step of 1e-5 are off by about 1e-10.
        @Test(arguments: ProbabilityPath.allCases)
        func ratesAreDerivatives(path: ProbabilityPath) {
            for t in [0.1, 0.35, 0.5, 0.9] {
                let (before, here, after) = (
                    path.coefficients(t - 1e-5), path.coefficients(t), path.coefficients(t + 1e-5)
                )
                expectClose([here.alphaRate], [(after.alpha - before.alpha) / 2e-5], 1e-9)
                expectClose([here.sigmaRate], [(after.sigma - before.sigma) / 2e-5], 1e-9)
            }
        }

        @Test(arguments: ProbabilityPath.allCases)
        func aTimeIsFoundByItsNoiseLevel(path: ProbabilityPath) {
            for level in [1e-3, 0.2, 1, 7, 1e3] {
                let c = path.coefficients(path.time(noiseLevel: level))
                #expect(abs(c.sigma / c.alpha / level - 1) < 1e-9)
            }
            #expect(path.time(noiseLevel: 0) == 0)
        }
    }
}
