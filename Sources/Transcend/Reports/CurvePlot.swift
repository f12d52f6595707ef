import Data
import Foundation

/// A picture of a run's curves: one panel for each kind of quantity, several curves in each.
///
/// Measured points are drawn faintly, with their smoothed curve over them. Values that are not finite (on a logarithmic
/// axis: not positive) are left out; panels without any value say so. The picture has its own light background, so that
/// it looks the same on light and on dark pages.
public struct CurvePlot: Sendable {
    /// One curve: values over training steps.
    public struct Series: Sendable {
        /// The name in the legend.
        public var name: String
        /// The measurements, in any order of steps.
        public var points: [(step: Double, value: Double)]
        /// The curves that this one is the mean of, if any, drawn faintly on pages.
        public var parts: [[(step: Double, value: Double)]] = []

        /// Creates a curve with a name.
        public init(_ name: String, _ points: [(step: Double, value: Double)]) {
            self.name = name
            self.points = points
        }

        /// Creates the curve of one value in a run's metrics; rows without it are left out.
        public init(_ name: String, of key: String, in rows: [MetricsRow]) {
            self.init(name, rows.compactMap { row in row.values[key].map { (Double(row.step), $0) } })
        }
    }

    /// A pair of axes and the curves on it.
    public struct Panel: Sendable {
        /// The title above the panel.
        public var title: String
        /// The curves; from the seventh on colours repeat.
        public var series: [Series]
        /// Whether the value axis is logarithmic.
        public var logarithmic: Bool
        /// Whether the curves are drawn as measured, for values without noise.
        public var exact: Bool
        /// Whether the value axis begins at 0 or below.
        public var fromZero: Bool

        /// Creates a panel with curves.
        public init(
            _ title: String, _ series: [Series], logarithmic: Bool = false, exact: Bool = false, fromZero: Bool = false
        ) {
            self.title = title
            self.series = series
            self.logarithmic = logarithmic
            self.exact = exact
            self.fromZero = fromZero
        }
    }

    /// The title above all panels.
    public var title: String
    /// The text at the right of the title.
    public var subtitle: String
    /// The panels, drawn row by row, two or three in a row.
    public var panels: [Panel]
    /// The label of the horizontal axes.
    public var axis = "step"

    /// Creates a picture with a title and panels.
    public init(title: String, subtitle: String = "", panels: [Panel]) {
        self.title = title
        self.subtitle = subtitle
        self.panels = panels
    }

    /// Draws the picture, 1600 pixels wide by default; each row of panels is 400 to 820 pixels high.
    public func render(width: Int = 1600) -> RGBImage {
        let columns = panels.count < 2 ? 1 : panels.count <= 4 ? 2 : 3
        let rows = max(1, (panels.count + columns - 1) / columns)
        let rowHeight = rows == 1 ? (columns == 1 ? 820 : 640) : 420
        let top = 80
        let edge = 16.0
        var canvas = Canvas(width: max(480, width), height: top + rows * rowHeight + 20, background: Style.page)
        canvas.text(title, at: Canvas.Point(2 * edge, 52), size: 28, Style.ink, bold: true)
        canvas.text(
            subtitle, at: Canvas.Point(Double(canvas.width) - 2 * edge, 52), size: 20, Style.faintInk, align: .right)

        let panelWidth = (Double(canvas.width) - 2 * edge) / Double(columns)
        let steps = steps
        for (index, panel) in panels.enumerated() {
            let area = Canvas.Rectangle(
                x: edge + panelWidth * Double(index % columns), y: Double(top + index / columns * rowHeight),
                width: panelWidth, height: Double(rowHeight))
            CurvePanel(panel, steps: steps, axis: axis, area: area).draw(on: &canvas)
        }
        return canvas.picture
    }

    /// The range of steps of all curves, so that all panels have the same step axis.
    private var steps: ClosedRange<Double> {
        let all = panels.flatMap { panel in
            panel.series.flatMap { $0.visiblePoints(logarithmic: panel.logarithmic) }.map(\.x)
        }
        return (all.min() ?? 0)...(all.max() ?? 1)
    }

    /// Colours and sizes of all parts.
    enum Style {
        static let page = Canvas.Color(0xF4F5F7)
        static let paper = Canvas.Color(0xFFFFFF)
        static let border = Canvas.Color(0xC9CED6)
        static let grid = Canvas.Color(0xE6E9EE)
        static let ink = Canvas.Color(0x1F2430)
        static let faintInk = Canvas.Color(0x5A6272)
        /// The colours of Okabe and Ito (2008), distinguishable with every kind of colour vision; without their yellow,
        /// which is too light for a line on white.
        static let curves = [0x0072B2, 0xD55E00, 0x009E73, 0xCC79A7, 0xE69F00, 0x56B4E9].map { Canvas.Color($0) }
        static let textSize = 17.0
        /// The minimum margin at the left of a plot, which must fit the word "step".
        static let leastLeft = 86.0
    }
}
