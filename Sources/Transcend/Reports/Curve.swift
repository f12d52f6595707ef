import Foundation

/// A series prepared for drawing: thinned to the resolution of the picture, and smoothed.
struct Curve {
    let name: String
    /// Each point or, if a pixel column has many, the first, lowest, highest and last of the column.
    let points: [Canvas.Point]
    /// The smoothed curve.
    let course: [Canvas.Point]
    /// Whether there are few enough points to mark each of them.
    let isSparse: Bool
    /// The lowest and highest value the axis should show.
    let range: ClosedRange<Double>

    /// Prepares a series whose x axis is `columns` pixels wide, smoothed unless it is `exact`; nil if no value can be
    /// shown on the axis.
    init?(_ series: CurvePlot.Series, logarithmic: Bool, exact: Bool, columns: Int) {
        let kept = series.visiblePoints(logarithmic: logarithmic).sorted { $0.x < $1.x }
        guard let first = kept.first, let last = kept.last else { return nil }

        name = series.name
        isSparse = kept.count <= 60
        let groups = Self.group(kept, into: columns, from: first.x, to: last.x)
        let outline = isSparse ? kept : groups.flatMap(Self.outline)
        points = isSparse || !exact ? outline : []
        course = isSparse || exact ? outline : Self.smooth(groups, logarithmic: logarithmic)

        let visible = Self.visibleRange(kept.map { logarithmic ? log10($0.y) : $0.y }.sorted())
        range = logarithmic ? pow(10, visible.lowerBound)...pow(10, visible.upperBound) : visible
    }

    /// The range of all values; but if the extreme 1/200 at an end, such as spikes early in training, would take more
    /// room than all the rest, it is cut off.
    private static func visibleRange(_ sorted: [Double]) -> ClosedRange<Double> {
        let cut = sorted.count / 200
        var low = sorted[0]
        var high = sorted[sorted.count - 1]
        let usualLow = sorted[cut]
        let usualHigh = sorted[sorted.count - 1 - cut]
        let usual = usualHigh - usualLow
        if usual > 0, high - usualHigh > usual { high = usualHigh }
        if usual > 0, usualLow - low > usual { low = usualLow }
        return low...high
    }

    /// Groups neighbouring points that fall into the same pixel column.
    private static func group(
        _ points: [Canvas.Point], into columns: Int, from low: Double, to high: Double
    ) -> [[Canvas.Point]] {
        var groups: [[Canvas.Point]] = []
        var current = -1
        for point in points {
            let column = high > low ? min(columns - 1, Int(Double(columns) * (point.x - low) / (high - low))) : 0
            if column == current { groups[groups.count - 1].append(point) } else { groups.append([point]) }
            current = column
        }
        return groups
    }

    /// The first, lowest, highest and last point of a group.
    private static func outline(_ group: [Canvas.Point]) -> [Canvas.Point] {
        guard group.count > 4 else { return group }
        let low = group.min { $0.y < $1.y }!
        let high = group.max { $0.y < $1.y }!
        return [group[0]] + (low.x <= high.x ? [low, high] : [high, low]) + [group[group.count - 1]]
    }

    /// The value at each group of a line fitted to its neighbourhood with Gaussian weights; on a logarithmic axis it is
    /// fitted to the logarithms, so that it lies in the middle of the visible points.
    ///
    /// A line rather than the mean, since at its ends a falling curve would otherwise begin too low and end too high.
    /// The standard deviation of the Gaussian is 0.7 % of all groups at the beginning, where curves fall steeply, and 2
    /// % from a quarter of the way on; it grows again towards the last value, which has neighbours on one side only.
    private static func smooth(_ groups: [[Canvas.Point]], logarithmic: Bool) -> [Canvas.Point] {
        let sums = groups.map { group in
            (count: Double(group.count), sum: group.reduce(0) { $0 + (logarithmic ? log10($1.y) : $1.y) })
        }
        return groups.indices.map { index in
            let done = Double(index) / Double(groups.count)
            let share = 0.007 + 0.013 * min(1, 4 * done) + 0.03 * exp(-25 * (1 - done))
            let deviation = max(1.5, share * Double(groups.count))
            let reach = Int(3 * deviation)
            var weight = 0.0
            var first = 0.0
            var second = 0.0
            var total = 0.0
            var slope = 0.0
            for other in max(0, index - reach)...min(groups.count - 1, index + reach) {
                let distance = Double(other - index) / deviation
                let share = exp(-0.5 * distance * distance)
                weight += share * sums[other].count
                first += share * sums[other].count * distance
                second += share * sums[other].count * distance * distance
                total += share * sums[other].sum
                slope += share * sums[other].sum * distance
            }
            let determinant = weight * second - first * first
            let fitted = determinant > 0 ? (second * total - first * slope) / determinant : total / weight
            let group = groups[index]
            return Canvas.Point((group[0].x + group.last!.x) / 2, logarithmic ? pow(10, fitted) : fitted)
        }
    }
}

extension CurvePlot.Series {
    /// The points that can be shown on an axis.
    func visiblePoints(logarithmic: Bool) -> [Canvas.Point] { Self.visible(points, logarithmic: logarithmic) }

    /// The visible points of each curve that this one is the mean of, in order.
    func visibleParts(logarithmic: Bool) -> [[Canvas.Point]] {
        parts.map { Self.visible($0, logarithmic: logarithmic).sorted { $0.x < $1.x } }
    }

    private static func visible(_ points: [(step: Double, value: Double)], logarithmic: Bool) -> [Canvas.Point] {
        points.filter { $0.step.isFinite && PlotAxis.holds($0.value, logarithmic: logarithmic) }
            .map { Canvas.Point($0.step, $0.value) }
    }
}
