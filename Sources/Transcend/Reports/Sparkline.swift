import Foundation

/// A curve in one line of text, `width` columns at most: `█▆▄▃▂▂▁▁`.
///
/// Many values are averaged in equal parts; a part without a finite value is a gap. The lowest value is at the bottom
/// and the highest at the top, optionally on a logarithmic scale; `fromZero` puts zero at the bottom.
public func sparkline(_ values: [Double], width: Int, logarithmic: Bool = false, fromZero: Bool = false) -> String {
    let count = min(width, values.count)
    guard count > 0 else { return "" }
    let means = (0..<count).map { column -> Double? in
        let part = values[column * values.count / count..<(column + 1) * values.count / count]
        let finite = part.filter { $0.isFinite && (!logarithmic || $0 > 0) }
        guard !finite.isEmpty else { return nil }
        let mean = finite.reduce(0) { $0 + (logarithmic ? log($1) : $1) / Double(finite.count) }
        return mean
    }
    let known = means.compactMap { $0 }
    guard let lowest = known.min(), let highest = known.max() else { return String(repeating: " ", count: count) }
    let low = fromZero ? min(0, lowest) : lowest
    let blocks = Array("▁▂▃▄▅▆▇█")
    return String(
        means.map { mean -> Character in
            guard let mean else { return " " }
            guard highest > low else { return blocks[3] }
            return blocks[min(7, Int(8 * (mean - low) / (highest - low)))]
        })
}
