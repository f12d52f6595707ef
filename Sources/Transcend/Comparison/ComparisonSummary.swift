import Evaluation
import Formats
import Foundation

/// The results of a comparison so far: the numbers on its page.
public struct ComparisonSummary: Sendable {
    /// One variant with its runs.
    struct Variant: Sendable {
        let name: String
        /// The name of the variant that is its teacher.
        let teacher: String?
        let training: TrainingConfiguration
        let cost: CostEstimate
        /// The measured runs, in the order of the seeds.
        let runs: [MeasuredRun]

        /// A metric at the last step.
        func last(_ metric: String) -> SeedValues { values { $0.last(metric) } }

        var stepSeconds: SeedValues { values(\.stepSeconds) }

        var recognised: SeedValues {
            values { $0.results.last?.result.recognised.map { Double($0.classes) } }
        }

        private func values(_ value: (MeasuredRun) -> Double?) -> SeedValues {
            SeedValues(runs.map { ($0.run.seed, value($0)) })
        }
    }

    /// The configuration of the comparison.
    public let configuration: ComparisonConfiguration
    /// The variants in the order of the file.
    let variants: [Variant]
    /// The runs that are not measured yet, such as "seed-1/align".
    public let missing: [String]

    init(_ configuration: ComparisonConfiguration, of runs: [MeasuredRun]) {
        self.configuration = configuration
        variants = configuration.variants.map { variant in
            Variant(
                name: variant.name, teacher: variant.teacher, training: variant.configuration,
                cost: CostEstimate(variant.configuration),
                runs: configuration.seeds.compactMap { seed in
                    runs.first { $0.run.variant == variant.name && $0.run.seed == seed }
                })
        }
        missing = configuration.seeds.flatMap { seed in
            configuration.order.map { configuration.variants[$0].name }.filter { name in
                !runs.contains { $0.run.variant == name && $0.run.seed == seed }
            }.map { "seed-\(seed)/\($0)" }
        }
    }

    /// The variant with which the others are compared.
    var baseline: Variant { variants[configuration.baseline] }

    static let distance = "frechet_distance"

    /// The available metrics other than the distance.
    var otherMetrics: [String] {
        EvaluationResult.metrics.filter { name in
            name != Self.distance && variants.contains { $0.last(name).mean != nil }
        }
    }

    /// Any result, for what all results have in common.
    var anyResult: EvaluationResult? { variants.lazy.compactMap { $0.runs.first?.results.last?.result }.first }

    /// The minutes that it took to train a run up to a step, including its teachers among the variants; nil if not
    /// known.
    func minutes(of run: MeasuredRun, to step: Int) -> Double? {
        guard let seconds = run.stepSeconds else { return nil }
        let variant = variants.first { $0.name == run.run.variant }
        guard let teacher = variant?.teacher else { return seconds * Double(step) / 60 }
        let followed = variants.first { $0.name == teacher }?.runs.first { $0.run.seed == run.run.seed }
        return followed.flatMap { minutes(of: $0, to: $0.run.training.steps) }.map { $0 + seconds * Double(step) / 60 }
    }

    /// The ratio of a number to the baseline's, over the seeds that both have; nil if one is missing.
    func relative(_ values: (Variant) -> SeedValues, of variant: Variant) -> Double? {
        let (own, other) = (values(variant), values(baseline))
        guard let mean = own.common(with: other).mean, let base = other.common(with: own).mean else { return nil }
        return mean / base
    }

    func relativeFLOPs(of variant: Variant) -> Double { variant.cost.stepFLOPs / baseline.cost.stepFLOPs }

    /// A sentence that compares a variant's distance with the baseline's; nil for the baseline, or if one of the two is
    /// missing.
    func verdict(of variant: Variant) -> String? {
        variant.name == baseline.name
            ? nil : variant.last(Self.distance).verdict(against: baseline.last(Self.distance), of: baseline.name)
    }
}
