import Diffusion
import Models
import Testing
import Torch
import Transcend

extension TrainingTests {
    @Suite struct SampleGeneratorTests {
        @Test func samplesDoNotDependOnTheirNeighbours() throws {
            var c = SiTConfiguration()
            (c.inputSize, c.patchSize, c.channels, c.hidden, c.depth, c.heads, c.classes) = (8, 4, 3, 16, 1, 2, 3)
            let network = SiT(c)
            network.initialise(stage: "test", seed: 1)
            // The output layer starts at zero; anything else makes samples differ.
            for entry in network.parameters(prefix: "") where entry.name.hasPrefix("final_layer") {
                let shape = entry.parameter.value.shape
                let draws = Draws(seed: 3).normals(.initialise, step: 0, item: 7, count: shape.reduce(1, *))
                entry.parameter.assign(Tensor(draws.map { 0.1 * $0 }, shape: shape))
            }
            let sampler = Sampler(mode: .sde, steps: 4, guidance: Guidance(scale: 2))
            let generator = SampleGenerator(network: network, path: .linear, sampler: sampler, seed: 5)
            let together = generator(labels: [0, 1, 2], firstItem: 0)
            let alone = generator(labels: [2], firstItem: 2)
            // Products over other batch sizes round differently.
            #expect((together[2] - alone[0]).abs().maximum().item() < 1e-5)
        }
    }
}
