/// The head of a panel: its title and, beside it or in rows below it, the name and last value of each curve.
struct PlotLegend {
    private struct Entry {
        let text: String
        let color: Canvas.Color
        let place: Canvas.Point
    }

    /// The height that the rows below the title add above the panel's axes.
    let extraHeight: Double
    private let title: String
    private let titlePlace: Canvas.Point
    private var entries: [Entry] = []

    private static let titleSize = 20.0
    private static let textSize = CurvePlot.Style.textSize
    /// The space of an entry besides its text: the line sample and the gap to the next entry.
    private static let textLeft = 34.0
    private static let gap = 28.0
    private static let rowHeight = 26.0

    /// Lays out all entries in the head of `card`.
    init(_ curves: [(text: String, color: Canvas.Color)], title: String, card: Canvas.Rectangle) {
        let left = card.x + 18
        let right = card.right - 18
        let baseline = card.y + 34
        self.title = Self.shorten(title, to: right - left, size: Self.titleSize)
        titlePlace = Canvas.Point(left, baseline)

        let texts = curves.map { Self.shorten($0.text, to: right - left - Self.textLeft, size: Self.textSize) }
        let widths = texts.map { Self.textLeft + Canvas.textWidth($0, size: Self.textSize) + Self.gap }
        let total = widths.reduce(-Self.gap, +)
        let free = right - left - Canvas.textWidth(self.title, size: Self.titleSize) - 2 * Self.gap
        let isBeside = total <= free
        var place = isBeside ? Canvas.Point(right - total, baseline) : Canvas.Point(left, baseline + Self.rowHeight)
        for (index, text) in texts.enumerated() {
            if place.x > left, place.x + widths[index] - Self.gap > right + 0.5 {
                place = Canvas.Point(left, place.y + Self.rowHeight)
            }
            entries.append(Entry(text: text, color: curves[index].color, place: place))
            place.x += widths[index]
        }
        extraHeight = texts.isEmpty ? 0 : place.y - baseline
    }

    func draw(on canvas: inout Canvas) {
        canvas.text(title, at: titlePlace, size: Self.titleSize, CurvePlot.Style.ink, bold: true)
        for entry in entries {
            let middle = Canvas.Point(entry.place.x, entry.place.y - 6)
            canvas.stroke([[middle, middle + Canvas.Point(22, 0)]], thickness: 4, entry.color)
            let textPlace = entry.place + Canvas.Point(Self.textLeft, 0)
            canvas.text(entry.text, at: textPlace, size: Self.textSize, CurvePlot.Style.ink)
        }
    }

    private static func shorten(_ text: String, to width: Double, size: Double) -> String {
        guard Canvas.textWidth(text, size: size) > width else { return text }
        var short = text
        while !short.isEmpty, Canvas.textWidth(short + "...", size: size) > width { short.removeLast() }
        return short + "..."
    }
}
