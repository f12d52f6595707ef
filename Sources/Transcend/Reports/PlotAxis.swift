import Foundation

/// One axis of a plot: its range of values, their positions and its labels.
struct PlotAxis {
    struct Tick {
        /// The position on the axis, 0 at its beginning and 1 at its end.
        let position: Double
        let label: String
    }

    let ticks: [Tick]
    private let low: Double
    private let high: Double
    private let logarithmic: Bool

    /// Creates an axis for the values from `low` to `high`, with about `tickCount` round labels.
    ///
    /// `margin` is the share of the axis left free at each end. Both ends of a logarithmic axis must be positive. An
    /// axis of whole numbers labels only those.
    init(
        from low: Double, to high: Double, logarithmic: Bool = false, isWhole: Bool = false, margin: Double,
        tickCount: Int
    ) {
        var start = Self.transform(low, logarithmic)
        var end = Self.transform(high, logarithmic)
        if end - start <= 1e-9 * max(abs(start), abs(end)) {
            let room = logarithmic ? 0.5 : 0.1 * abs(start)
            // Hardly anything that is plotted and is 0 may fall below.
            (start, end) = room == 0 ? (0, 1) : (start - room, end + room)
        }
        let room = margin * (end - start)
        (start, end) = (start - room, end + room)
        (self.low, self.high, self.logarithmic) = (start, end, logarithmic)

        var values = logarithmic ? Self.decades(from: pow(10, start), to: pow(10, end), atMost: tickCount + 3) : []
        var labels = values.map(readableNumber)
        if values.count < 2 {
            let from = logarithmic ? pow(10, start) : start
            let to = logarithmic ? pow(10, end) : end
            values = Self.roundValues(from: from, to: to, about: tickCount, least: isWhole ? 1 : 0)
            labels = axisLabels(values)
        }
        ticks = zip(values, labels).map { value, label in
            Tick(position: (Self.transform(value, logarithmic) - start) / (end - start), label: label)
        }
    }

    /// Whether a value can be shown on an axis: infinities and NaN cannot, nor, on a logarithmic one, values that are
    /// not positive.
    static func holds(_ value: Double, logarithmic: Bool) -> Bool {
        // Beyond this the extent of an axis would overflow.
        abs(value) < 1e150 && (!logarithmic || value > 1e-150)
    }

    /// The position of a value, 0 at the beginning of the axis and 1 at its end.
    func position(of value: Double) -> Double {
        (Self.transform(value, logarithmic) - low) / (high - low)
    }

    private static func transform(_ value: Double, _ logarithmic: Bool) -> Double {
        logarithmic ? log10(value) : value
    }

    /// Multiples of 1, 2 or 5 times a power of ten, chosen to come closest to the desired number of them.
    private static func roundValues(from low: Double, to high: Double, about count: Int, least: Double) -> [Double] {
        let rough = (high - low) / Double(count)
        let power = pow(10, floor(log10(rough)))
        let nearest = power * [1, 2, 5, 10].min { abs(log($0 * power / rough)) < abs(log($1 * power / rough)) }!
        let step = max(least, nearest)
        let first = (low / step).rounded(.up)
        let last = (high / step).rounded(.down)
        guard first <= last, last - first < 100 else { return [] }
        return stride(from: first, through: last, by: 1).map { $0 * step }
    }

    /// Powers of ten and, if there is room, 2 and 5 or more multiples of them.
    private static func decades(from low: Double, to high: Double, atMost count: Int) -> [Double] {
        let exponents = Int(floor(log10(low)))...Int(ceil(log10(high)))
        let choices: [(factors: [Double], every: Int, room: Int)] = [
            ([1, 1.5, 2, 3, 5, 7], 1, count - 2), ([1, 2, 5], 1, count), ([1], 1, count), ([1], 2, count),
            ([1], 5, count), ([1], 10, count), ([1], 50, count),
        ]
        for (factors, every, room) in choices {
            var values: [Double] = []
            for exponent in exponents where exponent.isMultiple(of: every) {
                values += factors.map { $0 * pow(10, Double(exponent)) }
            }
            values.removeAll { $0 < low * (1 - 1e-9) || $0 > high * (1 + 1e-9) }
            if values.count <= room { return values }
        }
        return []
    }
}

/// Labels for evenly spaced values, all with the same number of decimals and the same factor: `0`, `50k`, `100k`.
private func axisLabels(_ values: [Double]) -> [String] {
    guard let largest = values.map(abs).max(), values.count > 1 else { return values.map(readableNumber) }
    let step = values[1] - values[0]
    let factors = [(1e9, "G"), (1e6, "M"), (1e3, "k")]
    if largest >= 1e12 || largest < 1e-3 {
        let power = floor(log10(largest) + 1e-9)
        let decimals = max(0, Int(power - floor(log10(step) + 1e-9)))
        return values.map {
            $0 == 0 ? "0" : String(format: "%.\(min(decimals, 9))fe%d", $0 / pow(10, power), Int(power))
        }
    }
    let (factor, suffix) = factors.first { largest >= 10 * $0.0 || largest >= $0.0 && $0.0 > 1e3 } ?? (1, "")
    let decimals = max(0, Int(-floor(log10(step / factor) + 1e-9)))
    return values.map {
        let number = String(format: "%.\(min(decimals, 9))f", $0 / factor)
        return Double(number) == 0 ? number.replacingOccurrences(of: "-", with: "") : number + suffix
    }
}
