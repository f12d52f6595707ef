import Diffusion
import Foundation
import Models
import TestSupport
import Testing

/// A setting that is impossible, and the sentence about it.
private struct Problem: Sendable, CustomTestStringConvertible {
    let method: any Method
    let testDescription: String

    init(_ method: any Method, _ problem: String) { (self.method, testDescription) = (method, problem) }

    static let all = [
        Problem(
            align { $0.alignment.studentDepth = 0 }, "student depth 0 is no block of a network of 3; choose 1 to 3"),
        Problem(
            align { $0.alignment.studentDepth = 4 }, "student depth 4 is no block of a network of 3; choose 1 to 3"),
        Problem(
            selfGuided { $0.alignment.studentDepth = 4 }, "student depth 4 is no block of a network of 3; choose 1 to 3"
        ),
        Problem(selfGuided { $0.teacherDepth = 0 }, "teacher depth 0 is no block of a network of 3; choose 1 to 3"),
        Problem(selfGuided { $0.teacherDepth = 9 }, "teacher depth 9 is no block of a network of 3; choose 1 to 3"),
    ]
}

extension MethodTests {
    @Suite struct RegistryTests {
        @Test func methodsAreFoundByName() {
            #expect(Methods.all.map { $0.name } == ["plain", "align", "selfguided", "repa", "sra", "layersync"])
            for method in Methods.all { #expect(Methods.named(method.name) == method) }
            #expect(Methods.named("rep") == nil)
            let following = Methods.all.map { $0.init(defaultsFor: small, reading: .paper) }.filter {
                $0.followedWeights != nil
            }
            #expect(following.map { type(of: $0).name } == ["selfguided"])
        }

        @Test(arguments: ["plain", "align", "selfguided", "repa", "sra", "layersync"], Reading.allCases)
        func settingsComeBackEqual(name: String, reading: Reading) throws {
            func roundTrip<M: Method>(_ type: M.Type) throws {
                let settings = M(defaultsFor: small, reading: reading)
                #expect(settings.problem(for: small) == nil)
                #expect(try JSONDecoder().decode(M.self, from: JSONEncoder().encode(settings)) == settings)
            }
            let method = try #require(Methods.named(name))
            try roundTrip(method)
        }

        @Test func changedSettingsComeBackEqual() throws {
            let settings = selfGuided {
                ($0.alignment.studentDepth, $0.teacherDepth, $0.guidanceScale, $0.alignment.weight) = (3, 1, 5, 0.25)
                ($0.alignment.window, $0.alignment.semantics, $0.alignment.stopStep) = (
                    TimeWindow(0.125, 0.875), .batchMean, 1000
                )
                ($0.alignment.headWidth, $0.teacherWeights) = (24, .ema)
            }
            #expect(try JSONDecoder().decode(SelfGuided.self, from: JSONEncoder().encode(settings)) == settings)
        }

        @Test func storedSettingsShowEveryKey() throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = .sortedKeys
            func text(_ value: some Encodable) throws -> String {
                String(decoding: try encoder.encode(value), as: UTF8.self)
            }
            #expect(
                try text(align { $0.alignment.weight = 0.5 })
                    == #"{"alignment":{"finalWeight":null,"headWidth":16,"semantics":"per-sample","stopStep":null,"#
                    + #""studentDepth":2,"weight":0.5,"weightChangeEnd":0,"weightChangeStart":0,"window":[0.4,0.7]},"#
                    + #""target":"latent"}"#)
            #expect(try text(selfGuided()).contains(#""stopStep":null"#))
            #expect(try text(selfGuided { $0.alignment.stopStep = 7 }).contains(#""stopStep":7"#))
            #expect(try text(Guidance()) == #"{"channels":null,"high":1,"low":0,"scale":1}"#)
        }

        @Test(arguments: Problem.all)
        private func impossibleSettingsAreNamed(problem: Problem) {
            #expect(problem.method.problem(for: small) == problem.testDescription)
        }

        /// METHOD: blocks 2, 6 and 8 of 12; 8 and 16 of 24 and of 28; elsewhere about 1/2 and 2/3.
        @Test(arguments: [
            (12, 2, 6, 8), (24, 2, 8, 16), (28, 2, 8, 16), (6, 2, 3, 4), (4, 2, 2, 3), (2, 2, 1, 1), (1, 1, 1, 1),
        ])
        func blocksFollowTheDepth(depth: Int, stageOne: Int, student: Int, teacher: Int) {
            var network = small
            network.depth = depth
            #expect(AlignLatent(defaultsFor: network, reading: .paper).alignment.studentDepth == stageOne)
            let settings = SelfGuided(defaultsFor: network, reading: .paper)
            #expect((settings.alignment.studentDepth, settings.teacherDepth) == (student, teacher))
        }

        @Test func theTwoReadingsDifferInTargetAndWindow() {
            var paper = AlignLatent(defaultsFor: small, reading: .paper)
            #expect((paper.target, paper.alignment.semantics) == (.latent, .perSample))
            (paper.target, paper.alignment.semantics) = (.velocity, .batchMean)
            #expect(paper == AlignLatent(defaultsFor: small, reading: .published))
            var second = SelfGuided(defaultsFor: small, reading: .paper)
            #expect(
                (second.alignment.semantics, second.guidanceScale, second.alignment.weight) == (.perSample, 30, 0.5))
            second.alignment.semantics = .batchMean
            #expect(second == SelfGuided(defaultsFor: small, reading: .published))
        }

        /// Numbers of the reference's benchmark for SiT-B/2, width 2048: `step_flops(c, stage, 8, inside, 2048)` less
        /// three forward passes, with inside 0.3 (only those samples are computed) and 1. 0.7 - 0.4 is off by 1e-16.
        @Test(arguments: [
            (Reading.paper, 3_387_949_056.0, 21_781_964_390.4), (.published, 11_293_163_520, 72_606_547_968),
        ])
        func addedWorkIsCountedAsByTheReference(reading: Reading, stageOne: Double, stageTwo: Double) throws {
            let network = try #require(SiTConfiguration(named: "SiT-B/2"))
            let align = AlignLatent(defaultsFor: network, reading: reading)
            let guided = SelfGuided(defaultsFor: network, reading: reading)
            #expect(align.alignment.headWidth == 2048 && guided.alignment.headWidth == 2048)
            expectClose(
                [align.addedFLOPs(for: network), guided.addedFLOPs(for: network)], [stageOne, stageTwo], 1e-12)
            #expect(Plain(defaultsFor: network, reading: reading).addedFLOPs(for: network) == 0)
        }
    }
}
