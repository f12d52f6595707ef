import Diffusion
import Foundation
import Models
import Testing
import Torch
import Transcend

extension TrainingTests {
    @Suite struct Steps {
        @Test func aStepThatIsNotFiniteChangesNothing() throws {
            let state = try makeState()
            let before = state.parameters.tensors.map { $0.tensor.values(as: Float.self) }
            let batch = try makeBatch(cleanValue: .infinity)
            let error = #expect(throws: NonFiniteError.self) { try state.update([batch], learningRate: 1) }
            #expect(error?.description.hasPrefix("step 0 is not finite") == true)
            #expect(error?.description.contains("-nan") == false)
            #expect(state.parameters.tensors.map { $0.tensor.values(as: Float.self) } == before)
            #expect(state.step == 0)
        }

        /// SRA's teacher is the averaged network of the step before.
        @Test func theTeacherOfSRAMovesWithTheAverage() throws {
            let network = SiT(configuration)
            network.initialise(stage: "test", seed: 1)
            let teacher = SiT(configuration)
            var method = SRA(defaultsFor: configuration, reading: .paper)
            method.teacherDepth = 1
            var optimizer = OptimizerConfiguration()
            optimizer.emaDecay = 0.5
            let objective = method.objective(for: configuration, teacher: teacher, on: .cpu)
            objective.initialise(stage: "test", seed: 1)
            let state = try TrainingState(
                network: network, objective: objective, averaged: teacher, path: .linear, configuration: optimizer)
            var expected = network.parameters().map { $0.parameter.value.values(as: Float.self) }
            for _ in 0..<3 {
                _ = try state.update([makeBatch(cleanValue: 0.5)], learningRate: 0.01)
                for (index, entry) in network.parameters().enumerated() {
                    let new = entry.parameter.value.values(as: Float.self)
                    expected[index] = zip(expected[index], new).map { $0 + ($1 - $0) / 2 }
                }
            }
            for (values, entry) in zip(expected, teacher.parameters()) {
                let found = entry.parameter.value.values(as: Float.self)
                #expect(zip(values, found).allSatisfy { abs($0 - $1) <= 1e-6 }, "\(entry.name)")
            }
            let moved = zip(network.parameters(), teacher.parameters()).contains {
                ($0.parameter.value - $1.parameter.value).abs().maximum().item() > 1e-3
            }
            #expect(moved)
        }

        private var configuration: SiTConfiguration {
            var c = SiTConfiguration()
            (c.inputSize, c.patchSize, c.channels, c.hidden, c.depth, c.heads, c.classes) = (8, 4, 3, 16, 1, 2, 3)
            return c
        }

        private func makeState() throws -> TrainingState {
            let network = SiT(configuration)
            network.initialise(stage: "test", seed: 1)
            let objective = Plain(defaultsFor: configuration, reading: .paper)
                .objective(for: configuration, teacher: nil, on: .cpu)
            return try TrainingState(
                network: network, objective: objective, path: .linear, configuration: OptimizerConfiguration())
        }

        private func makeBatch(cleanValue: Double) throws -> Batch {
            let shape = [4, 3, 8, 8]
            let noise = Draws(seed: 2).normals(.noise, step: 0, item: 0, count: shape.reduce(1, *))
            return Batch(
                clean: .full(shape, cleanValue), noise: Tensor(noise, shape: shape), times: [0.1, 0.3, 0.6, 0.9],
                labels: Tensor([0, 1, 2, 0]), seenLabels: Tensor([0, 3, 2, 0]))
        }
    }
}
