import Evaluation
import Foundation

extension ComparisonSummary {
    /// The metrics at the last step: a header row and a row for each variant.
    var measured: [[String]] {
        let (metrics, seeds) = (otherMetrics, configuration.seeds)
        let hasClasses = variants.contains { $0.recognised.mean != nil }
        var titles = ["variant", "Fréchet distance"]
        if seeds.count > 1 { titles += ["spread"] + seeds.map { "seed \($0)" } }
        titles += metrics.map(EvaluationResult.title)
        if hasClasses { titles.append("recognised classes") }
        return [titles]
            + variants.map { variant in
                let distance = variant.last(Self.distance)
                var row = [variant.name, Self.text(distance.mean)]
                if seeds.count > 1 {
                    row.append(distance.spread.map(readableNumber) ?? Self.none)
                    row += seeds.map { seed in Self.text(distance.values.first { $0.seed == seed }?.value) }
                }
                row += metrics.map { variant.last($0).mean.map(readableNumber) ?? Self.none }
                if hasClasses { row.append(variant.recognised.mean.map(readableNumber) ?? Self.none) }
                return row
            }
    }

    /// The costs of training: a header row and a row for each variant.
    var costs: [[String]] {
        let hasSpread = configuration.seeds.count > 1
        func number(_ value: Double?) -> String { value.map(readableNumber) ?? Self.none }
        let titles =
            ["variant", "seconds of a step"] + (hasSpread ? ["spread"] : [])
            + ["relative", "FLOPs of a step, relative", "trained parameters"]
        return [titles]
            + variants.map { variant in
                let seconds = variant.stepSeconds
                let parameters = variant.cost.networkParameters + variant.cost.headParameters
                var row = [variant.name, number(seconds.mean)]
                if hasSpread { row.append(number(seconds.spread)) }
                row.append(relative(\.stepSeconds, of: variant).map { String(format: "%.2f", $0) } ?? Self.none)
                row += [String(format: "%.2f", relativeFLOPs(of: variant)), readableCount(parameters)]
                return row
            }
    }

    /// Both tables, for the terminal.
    public var tables: [Table] {
        [measured, costs].map { rows in
            var table = Table(rows[0].enumerated().map { $0.offset == 0 ? .text($0.element) : .number($0.element) })
            for row in rows.dropFirst() { table.append(row) }
            return table
        }
    }

    private static let none = "–"

    /// A distance with four digits, since methods often differ in the third.
    private static func text(_ value: Double?) -> String { value.map { String(format: "%#.4g", $0) } ?? none }
}
