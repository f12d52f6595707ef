import Foundation

/// A panel of curves as SVG, for pages viewed in light and dark mode: its colours come from the page's style.
struct VectorPlot {
    private let title: String
    private let axis: String
    private let curves: [(name: String, curve: Curve, parts: [[Canvas.Point]])]
    private let steps: PlotAxis
    private let values: PlotAxis

    private static let (width, height) = (640.0, 300.0)
    private static let plot = Canvas.Rectangle(x: 64, y: 12, width: 560, height: 250)

    /// Creates the curves of a panel, whose horizontal axis (steps, or whatever `axis` says) covers `range`; nil if no
    /// value can be shown on it.
    init?(_ panel: CurvePlot.Panel, steps range: ClosedRange<Double>, axis: String = "step", isWhole: Bool = true) {
        (title, self.axis) = (panel.title, axis)
        curves = panel.series.compactMap { series in
            Curve(series, logarithmic: panel.logarithmic, exact: panel.exact, columns: Int(Self.plot.width))
                .map { (series.name, $0, series.visibleParts(logarithmic: panel.logarithmic)) }
        }
        let parts = curves.flatMap(\.parts).joined().map(\.y)
        guard let lowest = (curves.map(\.curve.range.lowerBound) + parts).min(),
            let highest = (curves.map(\.curve.range.upperBound) + parts).max()
        else { return nil }
        steps = PlotAxis(from: range.lowerBound, to: range.upperBound, isWhole: isWhole, margin: 0.01, tickCount: 6)
        values = PlotAxis(
            from: panel.fromZero ? min(0, lowest) : lowest, to: panel.fromZero ? max(0, highest) : highest,
            logarithmic: panel.logarithmic, margin: 0.05, tickCount: 5)
    }

    /// All panels with values, on one common horizontal axis, each as an HTML figure.
    static func figures(_ panels: [CurvePlot.Panel], axis: String = "step", isWhole: Bool = true) -> String {
        let all = panels.flatMap { panel in
            panel.series.flatMap { series in
                series.visiblePoints(logarithmic: panel.logarithmic)
                    + series.visibleParts(logarithmic: panel.logarithmic).joined()
            }.map(\.x)
        }
        let range = (all.min() ?? 0)...(all.max() ?? 1)
        let figures = panels.compactMap { VectorPlot($0, steps: range, axis: axis, isWhole: isWhole)?.figure }
        return figures.isEmpty ? "" : #"<div class="plots">"# + figures.joined() + "</div>\n"
    }

    private var figure: String {
        let keys = curves.enumerated().map { index, one in
            let name = curves.count > 1 ? HTML.text(one.name) + " " : ""
            return
                #"<span class="key c\#(index % 6)">\#(name)<b>\#(readableNumber(one.curve.course.last!.y))</b></span>"#
        }
        return """
            <figure><figcaption>\(HTML.text(title)) \(keys.joined())</figcaption>
            <svg viewBox="0 0 \(Int(Self.width)) \(Int(Self.height))" role="img" aria-label="\(HTML.text(title)) by \(axis)">\(axes)\(lines)</svg></figure>

            """
    }

    private var axes: String {
        let plot = Self.plot
        let rows = values.ticks.map { tick in
            let y = number(plot.bottom - tick.position * plot.height)
            return
                #"<path class="grid" d="M\#(number(plot.x)) \#(y)H\#(number(plot.right))"/><text class="left" x="\#(number(plot.x - 8))" y="\#(y)" dy=".35em">\#(tick.label)</text>"#
        }
        let columns = steps.ticks.map { tick in
            let x = number(plot.x + tick.position * plot.width)
            return
                #"<path class="grid" d="M\#(x) \#(number(plot.y))V\#(number(plot.bottom))"/><text class="below" x="\#(x)" y="\#(number(plot.bottom + 20))">\#(tick.label)</text>"#
        }
        return rows.joined() + columns.joined()
    }

    private var lines: String {
        curves.enumerated().map { index, one in
            let (curve, style) = (one.curve, "c\(index % 6)")
            let dots =
                curve.isSparse
                ? curve.points.map { #"<circle cx="\#(number(x($0)))" cy="\#(number(y($0)))" r="3.5"/>"# }.joined() : ""
            let faint = (curve.isSparse ? [] : [curve.points]) + one.parts
            let measured = faint.map { #"<path class="faint" d="\#(path($0))"/>"# }.joined()
            return #"<g class="\#(style)">\#(measured)<path d="\#(path(curve.course))"/>\#(dots)</g>"#
        }.joined()
    }

    private func path(_ points: [Canvas.Point]) -> String {
        points.isEmpty ? "" : "M" + points.map { "\(number(x($0))) \(number(y($0)))" }.joined(separator: "L")
    }

    private func x(_ point: Canvas.Point) -> Double { Self.plot.x + steps.position(of: point.x) * Self.plot.width }

    /// The position of a value; values outside the axis, such as spikes at the beginning, are clamped to its edge.
    private func y(_ point: Canvas.Point) -> Double {
        Self.plot.bottom - min(1, max(0, values.position(of: point.y))) * Self.plot.height
    }

    private func number(_ value: Double) -> String { String(format: "%.1f", value) }
}
