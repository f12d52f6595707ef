import Data

/// Arranges pictures in rows and columns on one canvas, small ones enlarged so that they can be seen.
public struct ImageGrid: Sendable {
    /// The pictures, row by row; they may differ in size.
    public var images: [Canvas]
    /// How many stand in a row.
    public var columns: Int
    /// A name for each row, drawn at its left; rows beyond the list have none.
    public var rowLabels: [String]
    /// A name for each column, drawn above it; empty: none.
    public var columnLabels: [String] = []
    /// Room around each picture in pixels.
    public var padding = 4
    /// Pictures are enlarged by the smallest whole number that makes the larger side of the largest of them this long.
    public var minimumCell = 96

    /// A grid of pictures.
    public init(_ images: [Canvas], columns: Int, rowLabels: [String] = []) {
        precondition(columns > 0, "a grid has at least one column")
        self.images = images
        self.columns = columns
        self.rowLabels = rowLabels
    }

    /// Draws the grid: dark text on white, each picture in the middle of its cell.
    public func render() -> Canvas {
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
        return canvas
    }
}

extension Canvas {
    /// The picture of a network's output: values in [-1, 1] as `[C, H, W]` with 1 (grey) or 3 channels.
    ///
    /// A byte is 255 (x + 1) / 2, computed in single precision, limited to 0...255 and cut off to an integer, as in
    /// the published sampling scripts (REPA's generate.py); NaN becomes 0.
    public init(signed values: [Float], channels: Int, height: Int, width: Int) {
        precondition(channels == 1 || channels == 3, "a picture has 1 or 3 channels")
        precondition(values.count == channels * height * width, "a picture has one value for each channel and pixel")
        let plane = height * width
        let bytes = [UInt8](unsafeUninitializedCapacity: 3 * plane) { bytes, count in
            for index in 0..<plane {
                for channel in 0..<3 {
                    let value = values[(channels == 1 ? 0 : channel) * plane + index]
                    bytes[3 * index + channel] = PixelRange.signed.byte(value)
                }
            }
            count = 3 * plane
        }
        self.init(width: width, height: height, pixels: bytes)
    }
}

extension Canvas {
    /// A picture as a canvas.
    init(_ picture: RGBImage) {
        self.init(width: picture.width, height: picture.height, pixels: picture.pixels)
    }
}

extension RGBImage {
    /// A canvas as a picture for a file.
    public init(_ canvas: Canvas) {
        self.init(width: canvas.width, height: canvas.height, pixels: canvas.pixels)
    }
}
