import Foundation

/// The progress of a stage of work, and its one-line representation.
public struct ProgressState: Sendable {
    /// The name of the work: `align`, `sample`.
    public var stage: String
    /// The number of steps done.
    public var step: Int
    /// The total number of steps; 0 if not known, in which case neither bar nor percentage is shown.
    public var total: Int
    /// Losses and other values, in the order in which they are shown.
    public var values: [(name: String, value: Double)]
    /// The speed, if known.
    public var imagesPerSecond: Double?
    /// The remaining time in seconds, if known.
    public var secondsLeft: Double?

    /// Creates a state; unknown values are left out of the line.
    public init(
        stage: String, step: Int, total: Int, values: [(name: String, value: Double)] = [],
        imagesPerSecond: Double? = nil, secondsLeft: Double? = nil
    ) {
        self.stage = stage
        self.step = step
        self.total = total
        self.values = values
        self.imagesPerSecond = imagesPerSecond
        self.secondsLeft = secondsLeft
    }

    /// The line for a terminal of `width` columns: `align  ━━━╸────  1200/2300  loss 0.412  210 img/s  0:42 left`.
    ///
    /// If there is not enough room, first the bar is dropped, then the values from the last one, then the speed, then
    /// the line is cut off.
    public func line(width: Int) -> String {
        var shown = values.map { "\($0.name) \(readableNumber($0.value))" }
        var speed = speedParts
        func parts() -> [String] { [stage, count] + shown + speed + timeParts }
        func room() -> Int { width - parts().joined(separator: Self.gap).count }

        let barWidth = min(30, room() - Self.gap.count)
        if barWidth >= 8, total > 0 {
            return ([stage, bar(width: barWidth)] + parts().dropFirst()).joined(separator: Self.gap)
        }
        while room() < 0, !shown.isEmpty { shown.removeLast() }
        if room() < 0 { speed = [] }
        return String(parts().joined(separator: Self.gap).prefix(max(0, width)))
    }

    /// The line for a log file: everything except the bar, plus the percentage done.
    public func plainLine() -> String {
        let percent = total > 0 ? " (\(100 * min(step, total) / total)%)" : ""
        let shown = values.map { "\($0.name) \(readableNumber($0.value))" }
        return ([stage, count + percent] + shown + speedParts + timeParts).joined(separator: Self.gap)
    }

    private static let gap = "  "

    private var count: String {
        total > 0 ? "\(step)/\(total)" : "\(step)"
    }

    private var speedParts: [String] {
        imagesPerSecond.map { [String(format: $0 >= 9.95 ? "%.0f img/s" : "%.2g img/s", $0)] } ?? []
    }

    private var timeParts: [String] {
        secondsLeft.map { [readableDuration($0) + " left"] } ?? []
    }

    /// A bar that grows by half a column.
    private func bar(width: Int) -> String {
        let share = min(1, max(0, Double(step) / Double(total)))
        let halves = Int(share * Double(2 * width))
        let half = halves.isMultiple(of: 2) ? "" : "╸"
        let full = String(repeating: "━", count: halves / 2) + half
        return full + String(repeating: "─", count: width - full.count)
    }
}

/// Steps per second, averaged over about the last 20 seconds.
public struct RateMeter: Sendable {
    /// The steps per second; nil before the second observation.
    public var stepsPerSecond: Double? {
        time > 0 ? steps / time : nil
    }

    private var last: (step: Int, seconds: Double)?
    private var steps = 0.0
    private var time = 0.0

    /// Creates a meter without observations.
    public init() {}

    /// Records that `step` steps were done at a time, in seconds on any monotonic clock.
    public mutating func record(step: Int, seconds: Double) {
        if let last, seconds > last.seconds {
            let elapsed = seconds - last.seconds
            // Both sums decay at the same rate, so their quotient is an average from the second call on.
            let kept = exp(-elapsed / 20)
            time = time * kept + elapsed
            steps = steps * kept + Double(step - last.step)
        }
        if last == nil || seconds > last!.seconds { last = (step, seconds) }
    }
}
