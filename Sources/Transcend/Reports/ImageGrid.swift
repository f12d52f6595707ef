import Data

/// Arranges pictures in rows and columns on one canvas, with small ones enlarged.
public struct ImageGrid: Sendable {
    /// The pictures, row by row; they may differ in size.
    public var images: [RGBImage]
    /// The number of pictures in a row.
    public var columns: Int
    /// The name of each row, drawn at its left; rows beyond the list have none.
    public var rowLabels: [String]
    /// The name of each column, drawn above it; empty for none.
    public var columnLabels: [String] = []
    /// The padding around each picture in pixels.
    public var padding = 4
    /// The minimum size of the largest picture's longer side; pictures are enlarged by the smallest whole number that
    /// reaches it.
    public var minimumCell = 96

    /// Creates a grid of pictures.
    public init(_ images: [RGBImage], columns: Int, rowLabels: [String] = []) {
        precondition(columns > 0, "a grid has at least one column")
        self.images = images
        self.columns = columns
        self.rowLabels = rowLabels
    }

    /// Draws the grid: dark text on white, each picture in the middle of its cell.
    public func render() -> RGBImage {
        let side = max(1, images.map { max($0.width, $0.height) }.max() ?? 1)
        let scale = max(1, (minimumCell + side - 1) / side)
        let cellWidth = (images.map(\.width).max() ?? side) * scale + padding
        let cellHeight = (images.map(\.height).max() ?? side) * scale + padding
        let rows = max(1, (images.count + columns - 1) / columns)
        let size = min(18, max(11, 0.2 * Double(cellHeight)))
        let labels = rowLabels.prefix(rows)
        let labelWidth = labels.map { Canvas.textWidth($0, size: size) }.max() ?? 0
        let left = labelWidth > 0 ? padding + Int(labelWidth + size) : padding
        let top = columnLabels.isEmpty ? padding : padding + Int(2 * size)

        var canvas = Canvas(
            width: left + columns * cellWidth, height: top + rows * cellHeight, background: Canvas.Color(0xFFFFFF))
        for (column, label) in columnLabels.prefix(columns).enumerated() {
            let middle = Double(left + column * cellWidth) + Double(cellWidth - padding) / 2
            canvas.text(
                label, at: Canvas.Point(middle, Double(top) - size / 2), size: size, Canvas.Color(0x1F2430),
                align: .center)
        }
        for (row, label) in labels.enumerated() {
            let middle = Double(top + row * cellHeight) + Double(cellHeight - padding) / 2
            let place = Canvas.Point(Double(left) - size / 2, middle + size * Canvas.capitalHeight / 2)
            canvas.text(label, at: place, size: size, Canvas.Color(0x1F2430), align: .right)
        }
        for (index, image) in images.enumerated() {
            let x = left + index % columns * cellWidth + (cellWidth - padding - image.width * scale) / 2
            let y = top + index / columns * cellHeight + (cellHeight - padding - image.height * scale) / 2
            canvas.draw(image, x: x, y: y, scale: scale)
        }
        return canvas.picture
    }
}
