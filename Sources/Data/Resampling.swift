/// Resizes 8-bit pictures byte for byte as Pillow does: a separable fixed-point filter, first along rows, then along
/// columns, with an 8-bit picture in between.
struct ResamplingKernel {
    /// The filters; the cubic is Keys' with a = -0.5.
    enum Filter {
        case box, bicubic

        /// Half of the width that the filter covers, in samples.
        var support: Double { self == .box ? 0.5 : 2 }

        func callAsFunction(_ x: Double) -> Double {
            switch self {
            case .box: return x > -0.5 && x <= 0.5 ? 1 : 0
            case .bicubic:
                // The order of operations is Pillow's: any other rounds differently.
                let (x, a) = (abs(x), -0.5)
                if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
                return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0
            }
        }
    }

    /// Fractional bits of a weight: 8 of the 32 bits are for the sample, 2 for the overshoot of the negative lobes.
    static let precisionBits: Int32 = 22

    /// The first input sample that each output sample reads.
    private(set) var firsts: [Int] = []
    /// The index in `weights` at which each output sample's weights begin, followed by the total number of weights.
    private(set) var starts = [0]
    private(set) var weights: [Int32] = []

    /// Computes the weights of the output samples `window` of an axis resized from `inputCount` to `outputCount`
    /// samples.
    init(_ inputCount: Int, to outputCount: Int, _ filter: Filter, window: Range<Int>) {
        let scale = Double(inputCount) / Double(outputCount)
        // The filter widens only when shrinking.
        let stretch = max(scale, 1)
        let radius = filter.support * stretch
        for index in window {
            let centre = (Double(index) + 0.5) * scale
            let first = max(Int(centre - radius + 0.5), 0)
            let last = min(Int(centre + radius + 0.5), inputCount)
            let values = (first..<last).map { filter((Double($0) - centre + 0.5) * (1 / stretch)) }
            let sum = values.reduce(0, +)
            for value in values {
                let weight = sum == 0 ? value : value / sum
                weights.append(Int32(weight * Double(1 << Self.precisionBits) + (weight >= 0 ? 0.5 : -0.5)))
            }
            firsts.append(first)
            starts.append(weights.count)
        }
    }

    /// The range of input samples that any output sample reads.
    var reach: Range<Int> {
        let lasts = firsts.indices.map { firsts[$0] + starts[$0 + 1] - starts[$0] }
        return (firsts.min() ?? 0)..<(lasts.max() ?? 0)
    }
}

extension RGBImage {
    /// The part `columns` x `rows` of this picture resized to `width` x `height`; an axis that keeps its size is only
    /// cropped.
    func resized(
        to width: Int, _ height: Int, _ filter: ResamplingKernel.Filter, columns: Range<Int>, rows: Range<Int>
    ) -> RGBImage {
        let vertical =
            height == self.height ? nil : ResamplingKernel(self.height, to: height, filter, window: rows)
        let narrow = resizedRows(to: width, filter, columns: columns, rows: vertical?.reach ?? rows)
        return vertical.map { narrow.resizedColumns($0) } ?? narrow
    }

    private func resizedRows(
        to width: Int, _ filter: ResamplingKernel.Filter, columns: Range<Int>, rows: Range<Int>
    ) -> RGBImage {
        let kernel = width == self.width ? nil : ResamplingKernel(self.width, to: width, filter, window: columns)
        let (line, newLine) = (3 * self.width, 3 * columns.count)
        let result = [UInt8](unsafeUninitializedCapacity: newLine * rows.count) { target, filled in
            pixels.withUnsafeBufferPointer { pixels in
                for (place, row) in rows.enumerated() {
                    let source = pixels.baseAddress! + row * line
                    let output = target.baseAddress! + place * newLine
                    if let kernel {
                        kernel.resizeRow(source, into: output)
                    } else {
                        output.initialize(from: source + 3 * columns.lowerBound, count: newLine)
                    }
                }
            }
            filled = newLine * rows.count
        }
        return RGBImage(width: columns.count, height: rows.count, pixels: result)
    }

    /// Resizes along the columns; row 0 of this picture is the first row that the kernel reads.
    private func resizedColumns(_ kernel: ResamplingKernel) -> RGBImage {
        let (line, height, offset) = (3 * width, kernel.firsts.count, kernel.reach.lowerBound)
        var sums = [Int32](repeating: 0, count: line)
        let result = [UInt8](unsafeUninitializedCapacity: line * height) { target, filled in
            pixels.withUnsafeBufferPointer { pixels in
                sums.withUnsafeMutableBufferPointer { sums in
                    for row in 0..<height {
                        let source = pixels.baseAddress! + (kernel.firsts[row] - offset) * line
                        kernel.resizeColumns(
                            row, source, line: line, sums: sums.baseAddress!, into: target.baseAddress! + row * line)
                    }
                }
            }
            filled = line * height
        }
        return RGBImage(width: width, height: height, pixels: result)
    }
}

extension ResamplingKernel {
    private static let half: Int32 = 1 << (precisionBits - 1)

    private static func byte(_ sum: Int32) -> UInt8 {
        UInt8(truncatingIfNeeded: max(0, min(255, sum >> precisionBits)))
    }

    /// Resizes one row of pixels, [width, 3], to as many pixels as the kernel has output samples.
    fileprivate func resizeRow(_ source: UnsafePointer<UInt8>, into target: UnsafeMutablePointer<UInt8>) {
        weights.withUnsafeBufferPointer { weights in
            for index in firsts.indices {
                var pixel = source + 3 * firsts[index]
                var (red, green, blue) = (Self.half, Self.half, Self.half)
                for place in starts[index]..<starts[index + 1] {
                    let weight = weights[place]
                    red &+= weight &* Int32(pixel[0])
                    green &+= weight &* Int32(pixel[1])
                    blue &+= weight &* Int32(pixel[2])
                    pixel += 3
                }
                target[3 * index] = Self.byte(red)
                target[3 * index + 1] = Self.byte(green)
                target[3 * index + 2] = Self.byte(blue)
            }
        }
    }

    /// Computes output row `index` from the rows that begin at `source`; whole rows are summed, so that the loops
    /// vectorise.
    fileprivate func resizeColumns(
        _ index: Int, _ source: UnsafePointer<UInt8>, line: Int, sums: UnsafeMutablePointer<Int32>,
        into target: UnsafeMutablePointer<UInt8>
    ) {
        for place in 0..<line { sums[place] = Self.half }
        for (tap, weight) in weights[starts[index]..<starts[index + 1]].enumerated() {
            let row = source + tap * line
            for place in 0..<line { sums[place] &+= weight &* Int32(row[place]) }
        }
        for place in 0..<line { target[place] = Self.byte(sums[place]) }
    }
}
