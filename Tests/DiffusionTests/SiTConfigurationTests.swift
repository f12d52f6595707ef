import Models
import Testing
import Torch

extension MethodTests {
    @Suite struct SiTConfigurationTests {
        /// Counts that the reference prints (`python sit.py`: sums of numel over the modules of PyTorch).
        @Test(arguments: [
            ("SiT-S/2", 32_957_200), ("SiT-S/4", 32_920_384), ("SiT-S/8", 33_049_600),
            ("SiT-B/2", 130_500_112), ("SiT-B/4", 130_426_432), ("SiT-B/8", 130_684_672),
            ("SiT-L/2", 458_086_416), ("SiT-L/4", 457_988_160), ("SiT-L/8", 458_332_416),
            ("SiT-XL/2", 675_111_184), ("SiT-XL/4", 675_000_640), ("SiT-XL/8", 675_387_904),
        ])
        func publishedSizesHaveTheirParameters(name: String, count: Int) throws {
            let configuration = try #require(SiTConfiguration(named: name))
            #expect(configuration.problem == nil)
            #expect(SiT(configuration, on: .meta).parameterCount == count)
        }

        @Test func namesMayLeaveOutTheFamily() throws {
            let c = try #require(SiTConfiguration(named: "B/4"))
            #expect((c.depth, c.hidden, c.heads, c.patchSize) == (12, 768, 12, 4))
            #expect(c == SiTConfiguration(named: "SiT-B/4"))
        }

        @Test(arguments: ["", "SiT-B", "SiT-H/2", "SiT-B/0", "SiT-B/-2", "SiT-B/x", "SiT-B/2/2", "DiT-B/2", "b/2"])
        func otherNamesAreNone(name: String) { #expect(SiTConfiguration(named: name) == nil) }

        /// Numbers of the reference's benchmark: `forward_flops(SiTConfig.named(name))` and `forward_flops(..., 8)`.
        @Test(
            arguments: [
                ("SiT-S/2", 12_108_201_984, 8_070_856_704), ("SiT-B/4", 11_124_080_640, 7_412_908_032),
                ("SiT-XL/2", 237_233_405_952, 67_785_818_112),
            ] as [(String, Double, Double)])
        func workIsCountedAsByTheReference(name: String, whole: Double, eightBlocks: Double) throws {
            let configuration = try #require(SiTConfiguration(named: name))
            #expect(configuration.forwardFLOPs() == whole)
            #expect(configuration.forwardFLOPs(blocks: 8) == eightBlocks)
        }

        /// The products one by one, 2 m n k each, for 4 tokens of 8 with 2 heads, an MLP of 32 and patches of 8 values.
        @Test func workIsThatOfEveryProduct() {
            func product(_ m: Double, _ n: Double, _ k: Double) -> Double { 2 * m * n * k }
            let patches = product(4, 8, 8)
            let time = product(1, 8, 256) + product(1, 8, 8)
            let attention = product(4, 24, 8) + 2 * (product(4, 4, 4) + product(4, 4, 4)) + product(4, 8, 8)
            let block = product(1, 48, 8) + attention + product(4, 32, 8) + product(4, 8, 32)
            let final = product(1, 16, 8) + product(4, 8, 8)
            #expect(small.forwardFLOPs() == patches + time + 3 * block + final)
            #expect(small.forwardFLOPs(blocks: 1) == patches + time + block)
        }

        @Test(
            arguments: [
                (\.inputSize, 0, "the network's input size is 0; give a number from 1 to 1048576"),
                (\.patchSize, -1, "the network's patch size is -1; give a number from 1 to 1048576"),
                (\.patchSize, 3, "patches of 3 do not divide inputs of 4; choose a divisor"),
                (\.depth, 1025, "the network's depth is 1025; give a number from 1 to 1024"),
                (\.classes, 0, "the network's classes is 0; give a number from 1 to 1048576"),
                (\.heads, 3, "3 heads do not divide the hidden size 8; choose a divisor"),
                (\.hidden, 10, "the hidden size 10 is no multiple of 4, which the position table needs"),
            ] as [(WritableKeyPath<SiTConfiguration, Int> & Sendable, Int, String)])
        func impossibleNumbersAreNamed(
            field: WritableKeyPath<SiTConfiguration, Int> & Sendable, value: Int, problem: String
        ) {
            var configuration = small
            configuration[keyPath: field] = value
            #expect(configuration.problem == problem)
        }

        @Test(arguments: [0, -1, .nan, .infinity, 65])
        func impossibleRatiosAreNamed(ratio: Double) {
            var configuration = small
            configuration.mlpRatio = ratio
            #expect(
                configuration.problem == "the MLP ratio is \(ratio); give a number above 0 and up to 64, 4 as a rule")
        }

        @Test func aRatioMustLeaveAWidth() {
            var configuration = small
            configuration.mlpRatio = 0.1
            #expect(
                configuration.problem == "the MLP ratio 0.1 leaves no width for a hidden size of 8; 4 is the rule")
        }
    }
}
