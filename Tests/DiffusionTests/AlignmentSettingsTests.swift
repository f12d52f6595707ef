import Diffusion
import Foundation
import Testing
import Torch

extension MethodTests {
    /// When alignment counts, and how much.
    @Suite struct AlignmentSettingsTests {
        @Test func theWindowIncludesItsEnds() {
            #expect([0.25, 0.3, 0.5].allSatisfy(TimeWindow(0.25, 0.5).contains))
            #expect(![0, 0.2499, 0.5001, 1].contains(where: TimeWindow(0.25, 0.5).contains))
            #expect([0, 1].allSatisfy(TimeWindow.everywhere.contains))
            // In float32 0.7 is a little less than it is in float64, and 0.1 a little more.
            #expect(TimeWindow(0.7, 1).contains(0.7) && TimeWindow(0, 0.1).contains(0.1))
        }

        @Test(arguments: ["[0.4]", "[0.4, 0.7, 1]", "[]", "0.4", "{}"])
        func aWindowIsTwoNumbers(json: String) {
            #expect(throws: DecodingError.self) { try JSONDecoder().decode(TimeWindow.self, from: Data(json.utf8)) }
        }

        @Test func theWeightChangesOverItsSteps() {
            var settings = repa().alignment
            settings.weight = 0.5
            #expect([0, 7, 1_000_000].map(settings.weight(at:)) == [0.5, 0.5, 0.5])
            (settings.finalWeight, settings.weightChangeStart, settings.weightChangeEnd) = (0.1, 10, 20)
            let weights = [0, 10, 15, 20, 21].map(settings.weight(at:))
            #expect(zip(weights, [0.5, 0.5, 0.3, 0.1, 0.1]).allSatisfy { abs($0 - $1) < 1e-12 })
            settings.weightChangeEnd = 10
            #expect([9, 10].map(settings.weight(at:)) == [0.5, 0.1])
            var method = repa()
            method.alignment.weightChangeStart = 3
            #expect(method.problem(for: small)?.contains("from step 3 to step 0") == true)
            method.alignment.weightChangeEnd = 4
            #expect(method.problem(for: small)?.contains("has a finalWeight and a weightChangeEnd") == true)
            method.alignment.finalWeight = 0
            #expect(method.problem(for: small) == nil)
        }

        @Test func theTotalHasTheWeightOfItsStep() {
            let network = randomNetwork("student")
            let method = align {
                ($0.alignment.weight, $0.alignment.finalWeight) = (1, 0)
                ($0.alignment.weightChangeEnd, $0.alignment.window) = (4, .everywhere)
            }
            let objective = method.objective(for: small, teacher: nil, on: .cpu)
            objective.scatter("head")
            for (step, weight) in [(0, 1.0), (3, 0.25), (4, 0.0)] {
                let losses = losses(
                    of: network, objective, batch(at: [0.1, 0.2, 0.3, 0.4]), path: .linear, step: step)
                let expected =
                    losses.denoising.mean().item() + weight * losses.alignment!.perSample.mean().item()
                #expect(abs(losses.total.item() - expected) < 1e-6 * expected)
            }
        }
    }
}
