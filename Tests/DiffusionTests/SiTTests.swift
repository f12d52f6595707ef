import Foundation
import Models
import TestSupport
import Testing
import Torch

extension MethodTests {
    @Suite struct SiTTests {
        private let x = Tensor.normal([3, 2, 4, 4], item: 0)
        private let t = Tensor([0.1, 0.5, 1] as [Float])
        private let y = Tensor([0, 2, 3])

        /// The names and their order in PyTorch, with the reference's sit.py:
        /// `[n for n, _ in SiT(SiTConfig(depth=1, qk_norm=True)).named_parameters()]`.
        @Test func parametersHaveThePublishedNamesAndOrder() {
            var configuration = small
            configuration.depth = 1
            let names = [
                "pos_embed", "x_embedder.proj.weight", "x_embedder.proj.bias", "t_embedder.mlp.0.weight",
                "t_embedder.mlp.0.bias", "t_embedder.mlp.2.weight", "t_embedder.mlp.2.bias",
                "y_embedder.embedding_table.weight", "blocks.0.attn.qkv.weight", "blocks.0.attn.qkv.bias",
                "blocks.0.attn.q_norm.weight", "blocks.0.attn.q_norm.bias", "blocks.0.attn.k_norm.weight",
                "blocks.0.attn.k_norm.bias", "blocks.0.attn.proj.weight", "blocks.0.attn.proj.bias",
                "blocks.0.mlp.fc1.weight", "blocks.0.mlp.fc1.bias", "blocks.0.mlp.fc2.weight",
                "blocks.0.mlp.fc2.bias", "blocks.0.adaLN_modulation.1.weight", "blocks.0.adaLN_modulation.1.bias",
                "final_layer.linear.weight", "final_layer.linear.bias", "final_layer.adaLN_modulation.1.weight",
                "final_layer.adaLN_modulation.1.bias",
            ]
            #expect(SiT(configuration).parameters().map(\.name) == names.filter { !$0.contains("_norm") })
            configuration.qkNorm = true
            #expect(SiT(configuration).parameters().map(\.name) == names)
            #expect(SiT(configuration).parameters().filter { !$0.parameter.isTrained }.map(\.name) == ["pos_embed"])
        }

        @Test func aNewNetworkReturnsExactlyZero() {
            let network = SiT(small)
            network.initialise(stage: "align", seed: 0)
            let velocity = network(x, t, y).velocity
            #expect(velocity?.shape == [3, 2, 4, 4])
            #expect(velocity?.doubles == [Double](repeating: 0, count: 96))
        }

        /// With its gates closed a block returns its input: patch convolution plus positions, here in float64. Float32
        /// rounds sums of eight products of numbers around 1.
        @Test func tokensArePatchesWithPositions() throws {
            let network = SiT(small)
            network.initialise(stage: "align", seed: 0)
            let features = network(x, t, y, features: [1, 2, 3]).features
            let tokens = try #require(features[1])
            #expect(tokens.shape == [3, 4, 8])
            #expect(features[2]?.doubles == tokens.doubles && features[3]?.doubles == tokens.doubles)

            let (image, kernel) = (x.doubles, network.parameter("x_embedder.proj.weight").value.doubles)
            let expected = (0..<3 * 4 * 8).map { index in
                let (sample, row, column, hidden) = (index / 32, index / 16 % 2, index / 8 % 2, index % 8)
                let angle = Double(hidden < 4 ? column : row) * pow(10000, -Double(hidden % 2) / 2)
                return (0..<8).reduce(hidden % 4 < 2 ? sin(angle) : cos(angle)) { sum, tap in
                    let (channel, down, right) = (tap / 4, tap / 2 % 2, tap % 2)
                    let pixel = sample * 32 + channel * 16 + (2 * row + down) * 4 + 2 * column + right
                    return sum + kernel[8 * hidden + tap] * image[pixel]
                }
            }
            expectClose(tokens.doubles, expected, 1e-6)
        }

        @Test func blocksCountFromOneAndLaterOnesAreLeftOut() throws {
            let network = randomNetwork("a")
            let whole = network(x, t, y, features: [0, 1, 2, 3, 4])
            #expect(Set(whole.features.keys) == [1, 2, 3])
            for depth in 1...3 {
                let stopped = network(x, t, y, features: [1, 2, 3], stopAfter: depth)
                #expect(stopped.velocity == nil)
                #expect(Set(stopped.features.keys) == Set(1...depth))
                for (block, feature) in stopped.features { #expect(feature.doubles == whole.features[block]?.doubles) }
            }
            #expect(whole.features[1]?.doubles != whole.features[2]?.doubles)
            #expect(network(x, t, y).features.isEmpty)
        }

        /// The first block cannot know what the second one's weights are, the second one does.
        @Test func featuresDependOnTheirBlocksAlone() {
            let network = randomNetwork("a")
            let before = network(x, t, y, features: [1, 2])
            network.parameter("blocks.1.mlp.fc2.bias").assign(.full([8], 9))
            let after = network(x, t, y, features: [1, 2])
            #expect(after.features[1]?.doubles == before.features[1]?.doubles)
            #expect(after.features[2]?.doubles != before.features[2]?.doubles)
        }

        @Test func samplesDoNotSeeEachOther() throws {
            let network = randomNetwork("a")
            let all = try #require(network(x, t, y).velocity).doubles
            for sample in 0..<3 {
                let range = sample..<sample + 1
                let one = try #require(network(x[range], t[range], y[range]).velocity).doubles
                // Products of another size may sum in another order.
                expectClose(one, Array(all[sample * 32..<sample * 32 + 32]), 1e-5)
            }
        }

        @Test func aNetworkOfOneClassKnowsTheLabelAndItsAbsence() throws {
            var configuration = small
            configuration.classes = 1
            let network = randomNetwork("one", configuration)
            let labelled = try #require(network(x, t, .zeros([3], .I64)).velocity)
            let unlabelled = try #require(network(x, t, .full([3], 1, .I64)).velocity)
            #expect(labelled.isFinite && unlabelled.isFinite)
            #expect(labelled.doubles != unlabelled.doubles)
            #expect(throws: TorchError.self) { try withErrors { network(x, t, .full([3], 2, .I64)) } }
        }

        @Test(arguments: [(9, 3), (6, 1), (5, 5), (14, 7)])
        func anyDivisorIsAPatch(side: Int, patch: Int) throws {
            var configuration = small
            (configuration.inputSize, configuration.patchSize) = (side, patch)
            let output = randomNetwork("odd", configuration)(.normal([3, 2, side, side], item: 2), t, y, features: [1])
            #expect(output.velocity?.shape == [3, 2, side, side])
            #expect(output.velocity?.isFinite == true)
            #expect(output.features[1]?.shape == [3, side / patch * (side / patch), 8])
        }

        /// A token holds its patch row by row, the channels of a pixel together; tokens go row by row.
        @Test func patchesAreLaidBackInPlace() {
            let (patch, grid, channels) = (3, 2, 2)
            let side = patch * grid
            let tokens = Tensor.range(2 * grid * grid * patch * patch * channels)
                .reshaped([2, grid * grid, patch * patch * channels])
            let expected = (0..<2 * channels * side * side).map { index in
                let (sample, channel) = (index / (channels * side * side), index / (side * side) % channels)
                let (row, column) = (index / side % side, index % side)
                let token = (sample * grid + row / patch) * grid + column / patch
                return Double((token * patch * patch + row % patch * patch + column % patch) * channels + channel)
            }
            #expect(unpatchified(tokens, patch: patch).shape == [2, channels, side, side])
            #expect(unpatchified(tokens, patch: patch).doubles == expected)
        }

        @Test func wrongInputsAreFailuresThatNameThePart() {
            let network = randomNetwork("a")
            for (x, t, part) in [
                (Tensor.zeros([3, 5, 4, 4]), t, "x_embedder"), (.zeros([3, 2, 8, 8]), t, "x_embedder"),
                (x, .zeros([2]), "embedders"),
            ] {
                let error = #expect(throws: TorchError.self) { try withErrors { network(x, t, y) } }
                #expect(error?.description.contains(" in \(part): ") == true, "\(error?.description ?? "")")
            }
        }

        @Test func anInitialisationDependsOnStageAndSeed() {
            func start(_ stage: String, _ seed: UInt64) -> [Double] {
                let network = SiT(small)
                network.initialise(stage: stage, seed: seed)
                return network.parameters().filter(\.parameter.isTrained).flatMap(\.parameter.value.doubles)
            }
            #expect(start("align", 0) == start("align", 0))
            #expect(Set([start("align", 0), start("selfguided", 0), start("align", 1)]).count == 3)
        }

        /// The timestep MLP and the label table are normal with deviation 0.02: four standard errors of the variance.
        @Test(arguments: [
            "t_embedder.mlp.0.weight", "t_embedder.mlp.2.weight", "y_embedder.embedding_table.weight",
        ])
        func embeddersStartSmall(name: String) {
            var configuration = small
            (configuration.hidden, configuration.classes) = (64, 100)
            let network = SiT(configuration)
            network.initialise(stage: "align", seed: 0)
            let values = network.parameter(name).value.doubles
            let variance = values.reduce(0) { $0 + $1 * $1 } / Double(values.count)
            #expect(abs(variance / 0.0004 - 1) < 4 * (2 / Double(values.count)).squareRoot())
        }
    }
}
