import Foundation

/// Draws one panel of a `CurvePlot`: title, legend, axes and curves inside an area of the canvas.
struct CurvePanel {
    private typealias Style = CurvePlot.Style
    private let title: String
    private let axis: String
    private let curves: [(curve: Curve, color: Canvas.Color)]
    private let card: Canvas.Rectangle
    private let plot: Canvas.Rectangle
    private let steps: PlotAxis
    private let values: PlotAxis
    private let legend: PlotLegend

    /// Creates a panel whose step axis covers `range`.
    init(_ panel: CurvePlot.Panel, steps range: ClosedRange<Double>, axis: String, area: Canvas.Rectangle) {
        (title, self.axis) = (panel.title, axis)
        let card = area.inset(left: 8, top: 8, right: 8, bottom: 8)
        self.card = card
        let columns = max(1, Int(card.width - 130))
        curves = panel.series.enumerated().compactMap { index, series in
            Curve(series, logarithmic: panel.logarithmic, exact: panel.exact, columns: columns)
                .map { ($0, Style.curves[index % Style.curves.count]) }
        }
        // A single curve needs no name beside the panel's.
        let isNamed = panel.series.count > 1
        legend = PlotLegend(
            curves.map { ((isNamed ? $0.name + "  " : "") + readableNumber($0.course.last!.y), $1) }, title: title,
            card: card)

        steps = PlotAxis(
            from: range.lowerBound, to: range.upperBound, isWhole: true, margin: 0.01,
            tickCount: max(2, Int(card.width / 130)))
        let lowest = curves.map(\.curve.range.lowerBound).min() ?? (panel.logarithmic ? 0.1 : 0)
        let highest = curves.map(\.curve.range.upperBound).max() ?? 1
        values = PlotAxis(
            from: panel.fromZero ? min(0, lowest) : lowest, to: panel.fromZero ? max(0, highest) : highest,
            logarithmic: panel.logarithmic, margin: 0.04, tickCount: max(2, Int(card.height / 75)))
        let labels = values.ticks.map { Canvas.textWidth($0.label, size: Style.textSize) }.max() ?? 0
        plot = card.inset(left: max(labels + 32, Style.leastLeft), top: 54 + legend.extraHeight, right: 24, bottom: 40)
    }

    func draw(on canvas: inout Canvas) {
        canvas.fill(card.inset(left: -1, top: -1, right: -1, bottom: -1), Style.border)
        canvas.fill(card, Style.paper)
        drawAxes(on: &canvas)
        for (curve, color) in curves where !curve.isSparse {
            canvas.stroke([place(curve.points)], thickness: 1, color, opacity: 0.28, clip: plot)
        }
        for (curve, color) in curves {
            canvas.stroke([place(curve.course)], thickness: 2.5, color, clip: plot)
            if curve.isSparse { canvas.stroke(place(curve.points).map { [$0] }, thickness: 7, color, clip: plot) }
        }
        legend.draw(on: &canvas)
        if curves.isEmpty {
            let middle = Canvas.Point(plot.x + plot.width / 2, plot.y + plot.height / 2)
            canvas.text("no values yet", at: middle, size: 20, Style.faintInk, align: .center)
        }
    }

    private func drawAxes(on canvas: inout Canvas) {
        for tick in values.ticks {
            let y = (plot.bottom - tick.position * plot.height).rounded()
            canvas.fill(Canvas.Rectangle(x: plot.x, y: y, width: plot.width, height: 1), Style.grid)
            canvas.text(
                tick.label, at: Canvas.Point(plot.x - 10, y + 6), size: Style.textSize, Style.faintInk, align: .right)
        }
        var free = plot.x - 10
        for tick in steps.ticks where !curves.isEmpty {
            let x = (plot.x + tick.position * plot.width).rounded()
            canvas.fill(Canvas.Rectangle(x: x, y: plot.y, width: 1, height: plot.height), Style.grid)
            canvas.text(
                tick.label, at: Canvas.Point(x, plot.bottom + 24), size: Style.textSize, Style.faintInk, align: .center)
            free = min(free, x - Canvas.textWidth(tick.label, size: Style.textSize) / 2 - 16)
        }
        if !curves.isEmpty {
            canvas.text(
                axis, at: Canvas.Point(free, plot.bottom + 24), size: Style.textSize, Style.faintInk, align: .right)
        }
        canvas.fill(Canvas.Rectangle(x: plot.x, y: plot.bottom, width: plot.width, height: 1), Style.faintInk)
        canvas.fill(Canvas.Rectangle(x: plot.x, y: plot.y, width: 1, height: plot.height), Style.faintInk)
    }

    private func place(_ points: [Canvas.Point]) -> [Canvas.Point] {
        points.map { point in
            // Points far outside are clipped anyway; without this limit, long lines would lose pixel precision.
            let height = min(4, max(-4, values.position(of: point.y)))
            return Canvas.Point(
                plot.x + steps.position(of: point.x) * plot.width, plot.bottom - height * plot.height)
        }
    }
}

extension Canvas.Rectangle {
    fileprivate func inset(left: Double, top: Double, right: Double, bottom: Double) -> Self {
        Self(x: x + left, y: y + top, width: width - left - right, height: height - top - bottom)
    }
}
