import Diffusion
import Models
import TestSupport
import Testing
import Torch

extension MethodTests {
    /// What stage 1 and stage 2 align with.
    @Suite struct AlignmentTests {
        private let student = randomNetwork("student")
        private let inside = batch(at: [0.5, 0.45, 0.65])

        private func losses(
            _ objective: any Objective, _ batch: Batch, step: Int = 0, mode: LossMode = .training
        ) -> Losses {
            Diffusion.losses(of: student, objective, batch, path: .linear, step: step, mode: mode)
        }

        /// The same head, built beside the objective, and its error in float64.
        @Test(arguments: AlignLatent.Target.allCases)
        func stageOnePredictsItsTargetFromItsBlock(target: AlignLatent.Target) throws {
            let objective = align { ($0.target, $0.alignment.studentDepth) = (target, 1) }
                .objective(for: small, teacher: nil, on: .cpu)
            let head = LatentHead(small, width: 16, on: .cpu)
            #expect(objective.parameters().map(\.name) == head.parameters().map(\.name))
            objective.scatter("head")
            head.scatter("head")

            let noised = inside.noised(along: .linear)
            let features = student(noised.input, noised.t, inside.seenLabels, features: [1]).features
            let expected = squaredErrors(
                head(try #require(features[1])), target == .latent ? inside.clean : noised.velocity)
            expectClose(losses(objective, inside).alignment?.perSample.doubles ?? [], expected, 1e-6)
        }

        /// f_u + w (f_c - f_u) in float64, from the teacher's features with the true and with the null label.
        @Test func stageTwoPredictsAmplifiedFeatures() throws {
            let teacher = randomNetwork("teacher")
            let method = selfGuided { ($0.alignment.studentDepth, $0.teacherDepth) = (1, 2) }
            let objective = method.objective(for: small, teacher: teacher, on: .cpu)
            let head = Projector(small.hidden, width: 16, outputs: small.hidden, on: .cpu)
            objective.scatter("head")
            for (part, whole) in zip(head.parameters(), objective.parameters()) {
                #expect("projectors." + part.name == whole.name)
                part.parameter.assign(whole.parameter.value.detached())
            }

            let noised = inside.noised(along: .linear)
            func features(_ network: SiT, _ labels: Tensor, _ block: Int) throws -> Tensor {
                try #require(network(noised.input, noised.t, labels, features: [block]).features[block])
            }
            let conditional = try features(teacher, inside.labels, 2).doubles
            let unconditional = try features(teacher, .full([3], 3, .I64), 2).doubles
            let target = zip(conditional, unconditional).map { $1 + 3 * ($0 - $1) }
            let alignment = try #require(losses(objective, inside).alignment)
            expectClose(alignment.target.doubles, target, 1e-5)

            let predicted = head(try features(student, inside.seenLabels, 1))
            let expected = squaredErrors(predicted, Tensor(target, shape: predicted.shape))
            expectClose(alignment.perSample.doubles, expected, 1e-5)
        }

        @Test func theTeacherSeesTrueLabelsAndTheStudentSeenOnes() {
            let objective = selfGuided().objective(for: small, teacher: randomNetwork("teacher"), on: .cpu)
            objective.scatter("head")
            func alignment(labels: [Int], seen: [Int]) -> Alignment {
                let changed = Batch(
                    clean: inside.clean, noise: inside.noise, times: inside.times, labels: Tensor(labels),
                    seenLabels: Tensor(seen))
                return losses(objective, changed).alignment!
            }
            let first = alignment(labels: [0, 1, 2], seen: [0, 1, 2])
            let dropped = alignment(labels: [0, 1, 2], seen: [3, 3, 3])
            let others = alignment(labels: [1, 2, 0], seen: [0, 1, 2])
            #expect(dropped.target.doubles == first.target.doubles)
            #expect(dropped.features.doubles != first.features.doubles)
            #expect(others.target.doubles != first.target.doubles)
            #expect(others.features.doubles == first.features.doubles)
        }

        @Test func theTeacherGetsNoGradient() {
            let teacher = randomNetwork("teacher")
            let objective = selfGuided().objective(for: small, teacher: teacher, on: .cpu)
            objective.scatter("head")
            losses(objective, inside).total.backward()
            #expect(teacher.parameters().allSatisfy { $0.parameter.value.gradient == nil })
            #expect(objective.takeGradients().count == 6)
            #expect(objective.parameters().map(\.name).allSatisfy { $0.hasPrefix("projectors.") })
        }

        /// A teacher for other inputs fails as soon as it runs.
        @Test(arguments: TimeWindow.Semantics.allCases)
        func theTeacherRunsOnlyWhereItCounts(semantics: TimeWindow.Semantics) throws {
            var other = small
            other.channels = 5
            let objective = selfGuided { ($0.alignment.semantics, $0.alignment.stopStep) = (semantics, 10) }
                .objective(for: small, teacher: SiT(other), on: .cpu)
            func runs(_ batch: Batch, step: Int = 0) -> Bool {
                (try? withErrors { losses(objective, batch, step: step) }) == nil
            }
            #expect(runs(inside))
            #expect(!runs(batch(at: [0.1, 0.2, 0.9])))
            // Steps count from 0.
            #expect(runs(inside, step: 9))
            #expect(!runs(inside, step: 10) && !runs(inside, step: 11))
            // A part without samples inside belongs to a batch with some: what counts there depends on the semantics.
            let whole = batch(at: [0.1, 0.2, 0.5, 0.6])
            #expect(runs(whole.part(0..<2)) == (semantics == .batchMean))
            #expect(runs(whole.part(2..<4)))
        }

        @Test func afterTheStopStepTheTeacherIsNotNeeded() {
            let objective = selfGuided { $0.alignment.stopStep = 10 }
                .objective(for: small, teacher: randomNetwork("teacher"), on: .cpu)
            objective.scatter("head")
            let without = objective.withoutAlignment()
            #expect(without.parameters().map(\.name) == objective.parameters().map(\.name))
            let (before, after) = (losses(objective, inside, step: 10), losses(without, inside, step: 10))
            #expect(before.alignment == nil && after.alignment == nil)
            #expect(before.total.item() == after.total.item())
        }

        #if compiler(>=6.2)  // which brought exit tests; before it there are none of these
            /// Handles are counted in the whole process, so the count is taken in a process of its own.
            @Test func withoutAlignmentTheTeacherIsReleased() async {
                await #expect(processExitsWith: .success) {
                    var objective = selfGuided().objective(for: small, teacher: SiT(small), on: .cpu)
                    let before = Tensor.liveHandles
                    objective = objective.withoutAlignment()
                    let after = Tensor.liveHandles
                    let teacher = SiT(small).parameters().count
                    withExtendedLifetime(objective) { #expect(after == before - teacher) }
                }
            }
        #endif
    }
}
