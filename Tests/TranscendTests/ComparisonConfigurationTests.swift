import Diffusion
import Foundation
import TestSupport
import Testing
import Transcend

@Suite struct ComparisonConfigurationTests {
    @Test func eachVariantIsTheBaseWithItsOwnSettings() throws {
        let comparison = try read(
            """
            base: {preset: demo, steps: 300, schedule: {learningRate: 1e-3}}
            seeds: [3, 5]
            variants:
              guided: {stage: selfguided, teacher: align, method: {guidanceScale: 7}}
              published: {stage: align, reading: published}
              align: {stage: align}
              plain: {stage: plain}
            evaluation: {extractor: features.pt, every: 70, sampler: {steps: 5, guidance: {scale: 1.5}}}

            """)
        #expect(comparison.seeds == [3, 5])
        let configurations = comparison.variants.map(\.configuration)
        #expect(configurations.map(\.method.name) == ["selfguided", "align", "align", "plain"])
        #expect(configurations.allSatisfy { $0.steps == 300 && $0.schedule.learningRate == 1e-3 && $0.batch == 16 })
        #expect((configurations[0].method.method as? SelfGuided)?.guidanceScale == 7)
        #expect((configurations[1].method.method as? AlignLatent)?.target == .velocity)
        #expect((configurations[2].method.method as? AlignLatent)?.target == .latent)
        #expect(comparison.variants[comparison.baseline].name == "plain")
        // The teacher comes first; else the order is that of the file.
        #expect(comparison.order.map { comparison.variants[$0].name } == ["published", "align", "plain", "guided"])
        let guided = comparison.training(of: 0, seed: 5)
        #expect(guided.seed == 5 && guided.teacher == "../align/checkpoints/step-0000300")
        // 500, the preset's, would miss steps that are measured.
        #expect(configurations.allSatisfy { $0.output.keepEvery == 70 && $0.output.checkpointEvery == 70 })
        // What the sampler does not say is that of previews.
        let sampler = Sampler(mode: .ode, steps: 5, guidance: Guidance(scale: 1.5))
        #expect(comparison.evaluation.sampler == sampler)
        #expect(comparison.evaluation.labels == ["balanced"] && comparison.evaluation.probes == nil)
    }

    @Test func pathsAreRelativeToTheFile() throws {
        try withTemporaryFolder { folder in
            try """
            base: {preset: demo, steps: 9, data: {source: data/images.zip}, network: {classes: 3}}
            variants:
              plain: {stage: plain}
              guided: {stage: selfguided, teacher: runs/align}
            evaluation: {extractor: features.pt, reference: ../images, probes: {times: [0.1]}}

            """.write(toFile: folder + "/compare.yaml", atomically: true, encoding: .utf8)
            let comparison = try ComparisonConfiguration(path: folder + "/compare.yaml")
            let above = URL(fileURLWithPath: folder).deletingLastPathComponent().path
            #expect(comparison.variants[0].configuration.data.source == folder + "/data/images.zip")
            #expect(comparison.training(of: 1, seed: 0).teacher == folder + "/runs/align")
            #expect(comparison.evaluation.extractor == folder + "/features.pt")
            #expect(comparison.evaluation.reference == above + "/images")
            #expect(comparison.evaluation.probes?.times == [0.1] && comparison.evaluation.probes?.count == 2_000)
        }
    }

    @Test func theExampleCanBeRead() throws {
        let example = try ComparisonConfiguration(path: repository.path + "/docs/compare.yaml")
        #expect(example.variants.count == 5 && example.evaluation.probes != nil)
    }

    /// What stands for the beginning and the end of files that are right.
    private static let words = [
        ("TWO", "STARTPAIR"), ("PAIR", "variants:\n  plain: {stage: plain}\n  align: {stage: align}\n"),
        ("START", "base: {preset: demo, steps: 9}\n"), ("END", "evaluation: {extractor: x.pt}\n"),
    ]

    /// Files that cannot be used, and what is said after the file's name.
    @Test(
        arguments: [
            ("steps: 9\nTWO", ":1:1: steps: a comparison has no such key; did you mean base.steps?"),
            ("TWOsedes: [0]\n", ":5:1: sedes: a comparison has no such key; did you mean seeds?"),
            ("TWOseeds: 3\nEND", ":5:1: seeds: give different whole numbers, such as [0, 1]"),
            ("TWOseeds: [1, 1]\nEND", ":5:1: seeds: give different whole numbers, such as [0, 1]"),
            ("base: 3\nEND", ":1:1: base: this holds settings, each as key: value"),
            ("base: {stps: 3}\nEND", ":1:8: base.stps: there is no such setting; did you mean steps?"),
            (
                "base: {seed: 3}\nvariants: {a: {stage: plain}, b: {stage: align}}\n",
                ":1:8: base.seed: all variants share"
            ),
            ("base: {method: {name: align}}\nPAIR", ":1:17: base.method.name: each variant names"),
            ("STARTvariants: {a: {stage: plain}}\nEND", ": variants: give two or more"),
            ("STARTvariants: {A: {stage: plain}}\nEND", ":2:16: variants.A.stage: the name of a variant has small"),
            ("STARTvariants: {a: plain, b: {stage: align}}\n", ":2:12: variants.a: this holds settings"),
            ("STARTvariants: {a: , b: {stage: align}}\n", ": variants.a: give its stage: plain, align"),
            (
                "STARTvariants: {a: {stage: aling}, b: }\n",
                ":2:16: variants.a.stage: there is no stage aling; did you mean"
            ),
            ("TWO  b: {stage: align, method: {name: align}}\n", ":5:30: variants.b.method.name: give variants.b.stage"),
            (
                "TWO  b: {stage: align, btch: 8}\n",
                ":5:21: variants.b.btch: there is no such setting; did you mean batch?"
            ),
            (
                "TWO  b: {stage: align, method: {guidanceScale: 3}}\n",
                ":5:30: variants.b.method.guidanceScale: there is no such setting in align, but in selfguided"
            ),
            ("TWO  b: {stage: align, seed: 8}\n", ":5:21: variants.b.seed: all variants share the seeds"),
            (
                "TWO  b: {stage: align, batch: 8}\n",
                ":5:21: variants.b.batch: batch is 8 in b and 16 in plain; variants differ in stage, method and teacher alone"
            ),
            (
                "base: {preset: demo}\nPAIR",
                ": variants.align: steps is 1600 in align and 4400 in plain; variants differ in stage"
            ),
            ("TWO  b: {stage: align, network: {hidden: 7}}\n", ": variants.b: 4 heads do not divide the hidden size 7"),
            ("TWO  b: {stage: selfguided}\n", ": variants.b: selfguided follows a trained network; give its teacher"),
            (
                "TWO  b: {stage: sra, teacher: align}\n",
                ":5:19: variants.b.teacher: sra follows no other network; leave"
            ),
            (
                "TWO  b: {stage: selfguided, teacher: c}\n  c: {stage: selfguided, teacher: b}\n",
                ":5:26: variants.b.teacher: the variants b, c wait for each other"
            ),
            ("TWO", ": evaluation.extractor: give the features to measure by"),
            (
                "TWOevaluation: {extracter: x}\n",
                ":5:14: evaluation.extracter: there is no such setting; did you mean eval"
            ),
            (
                "TWOevaluation: {sampler: {step: 3}}\n",
                ":5:24: evaluation.sampler.step: there is no such setting; did you"
            ),
            (
                "TWOevaluation: {sampler: {steps: 0}}\n",
                ":5:24: evaluation.sampler.steps: give a whole number, 1 to 100000"
            ),
            ("TWOevaluation: {sampler: 3}\n", ":5:14: evaluation.sampler: this holds settings; give one of them"),
            ("TWOevaluation: {count: 1}\n", ":5:14: evaluation.count: give a whole number, 2 to 1000000, not 1"),
            ("TWOevaluation: {labels: balanced}\n", ":5:14: evaluation.labels: give classes by name or number"),
            ("TWOevaluation: {probes: {times: [2]}}\n", ":5:23: evaluation.probes.times: give times from 0 (clean)"),
            (
                "TWOevaluation: {extractor: x, sampler: {guidance: {low: 0.9, high: 0.1}}}\n",
                ": evaluation.sampler: "
            ),
            (
                "TWOevaluation: {extractor: x, sampler: {guidance: {channels: 4}}}\n",
                ": evaluation.sampler.guidance.channels: the network has 3"
            ),
        ] as [(String, String)])
    func errorsNameThePlace(text: String, message: String) throws {
        let whole = Self.words.reduce(text) { $0.replacing($1.0, with: $1.1) }
        let error = #expect(throws: ConfigurationError.self) { try read(whole) }
        #expect(error?.description.hasPrefix(name + message) == true, "\(error?.description ?? "")")
    }

    private let name = "compare.yaml"

    /// The comparison of that text; messages call its file `name`.
    private func read(_ text: String) throws -> ComparisonConfiguration {
        try withTemporaryFolder { folder in
            try text.write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
            do {
                return try ComparisonConfiguration(path: "\(folder)/\(name)")
            } catch let error as ConfigurationError {
                throw ConfigurationError(error.description.replacingOccurrences(of: folder + "/", with: ""))
            }
        }
    }
}
