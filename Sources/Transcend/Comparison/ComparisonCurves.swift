import Evaluation
import Foundation

/// The curves of a comparison: for each variant the mean over its seeds, with the single seeds behind it.
struct ComparisonCurves {
    private let summary: ComparisonSummary

    init(_ summary: ComparisonSummary) { self.summary = summary }

    /// The plot stored beside the page: every metric by step.
    var plot: CurvePlot {
        let names = [ComparisonSummary.distance] + summary.otherMetrics
        let count = summary.configuration.evaluation.count
        let seeds = summary.configuration.seeds.count
        return CurvePlot(
            title: "Variants by training step",
            subtitle: "\(count) samples of each, mean of \(seeds) seed\(seeds == 1 ? "" : "s")",
            panels: names.map { byStep($0, title: EvaluationResult.title(of: $0)) })
    }

    /// A panel of a metric by training step.
    func byStep(_ metric: String, title: String) -> CurvePlot.Panel {
        panel(title, metric) { _, step in Double(step) }
    }

    /// A panel of the distance by minutes of training.
    var byTime: CurvePlot.Panel {
        panel("Fréchet distance by minutes of training", ComparisonSummary.distance) { summary.minutes(of: $0, to: $1) }
    }

    /// The accuracy of linear probes by block, a panel for each time.
    var probes: [CurvePlot.Panel] {
        let times = summary.configuration.evaluation.probes?.times ?? []
        return times.indices.map { place in
            let series = summary.variants.map { variant in
                means(variant) { run in
                    guard let probes = run.probes, probes.accuracies.indices.contains(place) else { return [] }
                    return zip(probes.blocks, probes.accuracies[place]).map { ($0, Double($0), 100 * $1) }
                }
            }
            return CurvePlot.Panel(
                "Accuracy of linear probes by block at t = \(times[place]), %", series.filter { !$0.points.isEmpty },
                exact: true)
        }
    }

    private func panel(
        _ title: String, _ metric: String, place: (_ run: MeasuredRun, _ step: Int) -> Double?
    ) -> CurvePlot.Panel {
        let series = summary.variants.map { variant in
            means(variant) { run in
                run.results.compactMap { step, result in
                    place(run, step).flatMap { x in result[metric].map { (step, x, $0) } }
                }
            }
        }
        return CurvePlot.Panel(title, series, logarithmic: metric.hasSuffix("distance"), exact: true)
    }

    /// The mean over the runs at the points that all have in common.
    private func means(
        _ variant: ComparisonSummary.Variant, points: (MeasuredRun) -> [(key: Int, x: Double, y: Double)]
    ) -> CurvePlot.Series {
        let runs = variant.runs.map(points)
        let keys = (runs.first ?? []).map(\.key).filter { key in runs.allSatisfy { $0.contains { $0.key == key } } }
        var series = CurvePlot.Series(
            variant.name,
            keys.map { key in
                let equal = runs.compactMap { run in run.first { $0.key == key } }
                let count = Double(equal.count)
                return (equal.reduce(0) { $0 + $1.x } / count, equal.reduce(0) { $0 + $1.y } / count)
            })
        if runs.count > 1 { series.parts = runs.map { run in run.map { ($0.x, $0.y) } } }
        return series
    }
}
