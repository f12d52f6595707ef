import Diffusion
import Models
import TestSupport
import Testing
import Torch

/// An objective with its settings' name, and a student that all cases share.
struct ObjectiveCase: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let objective: any Objective

    private init(_ method: some Method, _ semantics: TimeWindow.Semantics) {
        testDescription = "\(type(of: method).name), \(semantics.rawValue)"
        objective = method.objective(for: small, teacher: randomNetwork("teacher"), on: .cpu)
        objective.scatter("head")
    }

    /// All methods that align, with both meanings of the window, which is [0.4, 0.7].
    static let all = TimeWindow.Semantics.allCases.flatMap { semantics in
        func set(_ alignment: inout AlignmentSettings) {
            (alignment.window, alignment.semantics, alignment.weight) = (TimeWindow(0.4, 0.7), semantics, 0.75)
        }
        var (sra, layerSync) = (
            SRA(defaultsFor: small, reading: .paper), LayerSync(defaultsFor: small, reading: .paper)
        )
        set(&sra.alignment)
        set(&layerSync.alignment)
        return [
            ObjectiveCase(align { set(&$0.alignment) }, semantics),
            ObjectiveCase(selfGuided { set(&$0.alignment) }, semantics),
            ObjectiveCase(repa { set(&$0.alignment) }, semantics),
            ObjectiveCase(sra, semantics),
            ObjectiveCase(layerSync, semantics),
        ]
    }
}

/// Stage 1's settings for the small network, changed.
func align(_ change: (inout AlignLatent) -> Void = { _ in }) -> AlignLatent {
    var method = AlignLatent(defaultsFor: small, reading: .paper)
    (method.alignment.headWidth, method.alignment.weight) = (16, 0.75)
    change(&method)
    return method
}

/// Stage 2's settings for the small network, changed.
func selfGuided(_ change: (inout SelfGuided) -> Void = { _ in }) -> SelfGuided {
    var method = SelfGuided(defaultsFor: small, reading: .paper)
    (method.alignment.headWidth, method.alignment.weight, method.guidanceScale) = (16, 0.75, 3)
    change(&method)
    return method
}

/// REPA's settings for the small network and the features of two encoders, changed.
func repa(_ change: (inout REPA) -> Void = { _ in }) -> REPA {
    var method = REPA(defaultsFor: small, reading: .paper)
    method.alignment.headWidth = 16
    method.targets.widths = encoderWidths
    change(&method)
    return method
}

extension MethodTests {
    /// What all objectives have in common.
    @Suite struct ObjectiveTests {
        private let student = randomNetwork("student")
        /// Two of four samples inside, none of them in the first half.
        private let mixed: [Float] = [0.1, 0.9, 0.5, 0.65]

        /// Head and teacher see 2 samples in one mode and 4 in the other. Float32 sums products of other sizes in
        /// another order: 1e-7 for each operation, on gradients around 1.
        @Test(arguments: ObjectiveCase.all, [[0.1, 0.9, 0.5, 0.65], [0.4, 0.7, 0.5, 0.6], [0.5, 0.1, 0.2, 0.3]])
        func bothModesHaveTheSameLossAndGradients(method: ObjectiveCase, times: [Float]) throws {
            let batch = batch(at: times)
            var totals: [Double] = []
            var gradients: [[String: [Double]]] = []
            for mode in [LossMode.training, .verification] {
                let losses = losses(of: student, method.objective, batch, path: .linear, step: 0, mode: mode)
                losses.total.backward()
                totals.append(losses.total.item())
                gradients.append(student.takeGradients().merging(method.objective.takeGradients()) { $1 })
            }
            expectClose([totals[0]], [totals[1]], 1e-6)
            #expect(gradients[0].keys == gradients[1].keys)
            for (name, gradient) in gradients[0] { expectClose(gradient, gradients[1][name] ?? [], 1e-5, "\(name)") }
        }

        /// denoising + weight * mean, where per-sample means sum(inside) / B and batch-mean means mean(all) * share.
        @Test(arguments: ObjectiveCase.all)
        func theTotalFollowsTheWindow(method: ObjectiveCase) throws {
            let batch = batch(at: mixed)
            let noised = batch.noised(along: .linear)
            let losses = losses(of: student, method.objective, batch, path: .linear, step: 0, mode: .verification)
            let velocity = try #require(student(noised.input, noised.t, batch.seenLabels).velocity)
            let denoising = squaredErrors(velocity, noised.velocity)
            expectClose(losses.denoising.doubles, denoising, 1e-6)

            let each = try #require(losses.alignment).perSample.doubles
            let term = try #require(method.objective.alignmentSettings)
            let mean =
                term.semantics == .perSample ? (each[2] + each[3]) / 4 : each.reduce(0, +) / 4 * (2.0 / 4)
            expectClose([try #require(losses.alignmentMean).item()], [mean], 1e-6)
            expectClose([losses.total.item()], [denoising.reduce(0, +) / 4 + 0.75 * mean], 1e-6)
        }

        @Test(arguments: ObjectiveCase.all)
        func halvesOfABatchGiveItsGradients(method: ObjectiveCase) {
            let whole = batch(at: mixed)
            losses(of: student, method.objective, whole, path: .linear, step: 0).total.backward()
            let expected = student.takeGradients().merging(method.objective.takeGradients()) { $1 }
            for half in [whole.part(0..<2), whole.part(2..<4)] {
                (losses(of: student, method.objective, half, path: .linear, step: 0).total / 2).backward()
            }
            let gradients = student.takeGradients().merging(method.objective.takeGradients()) { $1 }
            #expect(gradients.keys == expected.keys)
            for (name, gradient) in gradients { expectClose(gradient, expected[name] ?? [], 1e-5, "\(name)") }
        }

        @Test(arguments: ObjectiveCase.all)
        func withNothingInsideTheHeadHasNoGradientAndThenZero(method: ObjectiveCase) {
            let outside = batch(at: [0.1, 0.39, 0.71, 1])
            let losses = losses(of: student, method.objective, outside, path: .linear, step: 0)
            #expect(losses.alignment == nil && losses.alignmentMean == nil)
            #expect(losses.total.item() == losses.denoising.mean().item())
            losses.total.backward()
            #expect(student.takeGradients().count == student.parameters().trained.count)
            let head = method.objective.parameters()
            #expect(head.allSatisfy { $0.parameter.value.gradient == nil })
            head.fillMissingGradients()
            #expect(method.objective.takeGradients().values.joined().allSatisfy { $0 == 0 })
        }

        @Test func plainTrainingIsDenoisingAlone() {
            let objective = Plain(defaultsFor: small, reading: .paper).objective(for: small, teacher: nil, on: .cpu)
            #expect(objective.parameters().isEmpty && objective.featureDepths.isEmpty)
            let losses = losses(of: student, objective, batch(at: [0.5]), path: .cosine, step: 0)
            #expect(losses.alignment == nil)
            #expect(losses.total.item() == losses.denoising.item())
        }

        /// x_t = alpha x0 + sigma noise and its derivative, by float64.
        @Test(arguments: ProbabilityPath.allCases)
        func samplesAreMixedAlongThePath(path: ProbabilityPath) {
            let batch = batch(at: [0, 0.3, 1])
            let noised = batch.noised(along: path)
            let (clean, noise) = (batch.clean.doubles, batch.noise.doubles)
            var (input, velocity): ([Double], [Double]) = ([], [])
            for index in clean.indices {
                let c = path.coefficients(Double(batch.times[index / 32]))
                input.append(c.alpha * clean[index] + c.sigma * noise[index])
                velocity.append(c.alphaRate * clean[index] + c.sigmaRate * noise[index])
            }
            expectClose(noised.input.doubles, input, 1e-6)
            expectClose(noised.velocity.doubles, velocity, 1e-6)
            #expect(noised.gathering([2, 0]).t.doubles == [1, 0])
            #expect(noised.gathering([2]).input.doubles == Array(noised.input.doubles[64...]))
        }
    }
}
