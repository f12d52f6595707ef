extension RGBImage {
    /// The centre square of the picture, resized to `resolution` pixels a side, byte for byte as ADM's and REPA's
    /// preprocessing makes it.
    ///
    /// While the shorter side is at least twice the resolution, both sides are halved (box filter, odd sides cut); then
    /// the shorter side is resized to the resolution (bicubic, also when it is smaller), and the centre is cut out.
    /// Only the visible part is computed, so a narrow strip takes no extra memory.
    public func centreCropped(to resolution: Int) -> RGBImage {
        precondition(resolution > 0)
        var image = self
        while min(image.width, image.height) >= 2 * resolution {
            let (width, height) = (image.width / 2, image.height / 2)
            image = image.resized(to: width, height, .box, columns: 0..<width, rows: 0..<height)
        }
        let scale = Double(resolution) / Double(min(image.width, image.height))
        // Rounded, not truncated: the product may miss a whole number by the last bit.
        func scaled(_ side: Int) -> Int { Int((Double(side) * scale).rounded(.toNearestOrEven)) }
        func middle(_ side: Int) -> Range<Int> {
            let start = (side - resolution) / 2
            return start..<start + resolution
        }
        let (width, height) = (scaled(image.width), scaled(image.height))
        return image.resized(to: width, height, .bicubic, columns: middle(width), rows: middle(height))
    }

    /// The picture mirrored left to right.
    public var mirrored: RGBImage {
        var result = self
        for row in 0..<height {
            for column in 0..<width {
                for channel in 0..<3 {
                    result.pixels[3 * (row * width + column) + channel] =
                        pixels[3 * (row * width + width - 1 - column) + channel]
                }
            }
        }
        return result
    }
}
