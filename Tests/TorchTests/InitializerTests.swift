import Foundation
import TestSupport
import Testing
import Torch

extension EngineTests {
    @Suite struct InitializerTests {
        private func values(_ initializer: Initializer, _ shape: [Int], item: Int = 1) -> [Double] {
            initializer.values(shape, Draws(seed: 3), item).map(Double.init)
        }

        /// Uniform within b = sqrt(6 / (in + out)): variance b^2 / 3. Four standard errors: the fourth moment b^4 / 5
        /// makes the variance of the sample's variance (1/5 - 1/9) b^4 / n. A kernel counts as [out, in * k * k].
        @Test(arguments: [([96, 160], 96 + 160), ([64, 3, 8, 8], 64 + 3 * 8 * 8), ([160, 96], 256)])
        func xavierIsUniformWithinItsBound(shape: [Int], fans: Int) {
            let values = values(.xavierUniform, shape)
            let n = Double(values.count)
            let bound = sqrt(6 / Double(fans))
            #expect(values.count == shape.reduce(1, *))
            // One rounding of the bound to float32.
            #expect(values.map(abs).max()! <= bound * (1 + 1e-7))
            #expect(values.map(abs).max()! > bound * (1 - 1e-3))
            #expect(abs(values.reduce(0, +) / n) < 4 * bound / sqrt(3 * n))
            let variance = values.reduce(0) { $0 + $1 * $1 } / n
            #expect(abs(variance - bound * bound / 3) < 4 * bound * bound * sqrt(4.0 / 45 / n))
        }

        @Test func normalsHaveTheirDeviation() {
            let values = values(.normal(deviation: 0.02), [100, 100])
            let (n, deviation) = (Double(values.count), 0.02)
            let mean = values.reduce(0, +) / n
            let variance = values.reduce(0) { $0 + $1 * $1 } / n
            // Four standard errors.
            #expect(abs(mean) < 4 * deviation / sqrt(n))
            #expect(abs(variance / (deviation * deviation) - 1) < 4 * sqrt(2 / n))
        }

        @Test func constantsAndKnownValues() {
            #expect(values(.zeros, [2, 2]) == [0, 0, 0, 0])
            #expect(values(.ones, [3]) == [1, 1, 1])
        }

        @Test func aLayerStartsFromStageSeedAndNameAlone() {
            func start(_ stage: String, _ seed: UInt64, prefix: String = "") -> [Double] {
                let layer = Linear(3, 4, on: .cpu)
                layer.initialise(stage: stage, seed: seed, prefix: prefix)
                #expect(layer.bias?.value.doubles == [0, 0, 0, 0])
                return layer.weight.value.doubles
            }
            let first = start("align", 0)
            #expect(start("align", 0) == first)
            #expect(
                Set([first, start("selfguided", 0), start("align", 1), start("align", 0, prefix: "head.")]).count == 4)

            // The address itself: item = hash of "<stage>/<name>", and nothing of the layers around it.
            let bound = sqrt(6.0 / 7)
            let uniforms = Draws(seed: 0).uniforms(
                .initialise, step: 0, item: Int(Draws.fnv1a("align/weight")), count: 12)
            expectClose(first, uniforms.map { (2 * Double($0) - 1) * bound }, 1e-7)
        }

        @Test func layersListTheirParametersUnderPublishedNames() {
            func names(_ module: any Module, prefix: String = "") -> [String] {
                module.parameters(prefix: prefix).map { "\($0.name) \($0.parameter.value.shape)" }
            }
            #expect(names(Linear(3, 4, on: .cpu)) == ["weight [4, 3]", "bias [4]"])
            #expect(names(Linear(3, 4, hasBias: false, on: .cpu), prefix: "to_q.") == ["to_q.weight [4, 3]"])
            #expect(names(LayerNorm(5, epsilon: 1e-6, on: .cpu)) == ["weight [5]", "bias [5]"])
            #expect(names(GroupNorm(groups: 2, 4, epsilon: 1e-6, on: .cpu)) == ["weight [4]", "bias [4]"])
            #expect(names(Embedding(7, 2, initializer: .zeros, on: .cpu)) == ["weight [7, 2]"])
            #expect(names(Conv2d(2, 3, kernel: 4, on: .cpu)) == ["weight [3, 2, 4, 4]", "bias [3]"])
            #expect(Conv2d(2, 3, kernel: 4, on: .cpu).parameterCount == 3 * 2 * 4 * 4 + 3)
        }

        @Test func namesOfChildrenFollowTheirPlace() {
            struct Network: Module {
                let scale = Parameter([1], .ones, on: .cpu)
                let layers = [Linear(2, 2, hasBias: false, on: .cpu), Linear(2, 2, hasBias: false, on: .cpu)]
                let absent: Linear? = nil

                func walk(_ visit: inout Walk) {
                    visit("scale", scale)
                    visit("blocks", layers)
                    visit("absent", absent)
                    visit("", layers[0])
                    visit("last.0", layers[1])
                }
            }
            #expect(
                Network().parameters(prefix: "ema.").map(\.name)
                    == ["ema.scale", "ema.blocks.0.weight", "ema.blocks.1.weight", "ema.weight", "ema.last.0.weight"])
        }
    }
}
