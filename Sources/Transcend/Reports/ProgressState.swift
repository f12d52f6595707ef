import Foundation

/// How far a stage of work has come, and how that is written in one line.
public struct ProgressState: Sendable {
    /// What is being done: `align`, `sample`.
    public var stage: String
    /// Steps that are done.
    public var step: Int
    /// Steps in all; 0 if that is not known, then neither bar nor share is shown.
    public var total: Int
    /// Losses and the like, in the order in which they are shown.
    public var values: [(name: String, value: Double)]
    /// Speed, if known.
    public var imagesPerSecond: Double?
    /// Time to the end in seconds, if known.
    public var secondsLeft: Double?

    /// A state; what is not known is left out of the line.
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
    /// Where room is short, the bar goes first, then the values from the last, then the speed, then the line's end.
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

    /// The line for a log file: everything but the bar, and the share that is done.
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
    /// Steps per second, once a second observation has been made.
    public var stepsPerSecond: Double? {
        time > 0 ? steps / time : nil
    }

    private var last: (step: Int, seconds: Double)?
    private var steps = 0.0
    private var time = 0.0

    /// A meter without observations.
    public init() {}

    /// Observes that `step` steps were done at a time, in seconds on any clock that does not go back.
    public mutating func record(step: Int, seconds: Double) {
        if let last, seconds > last.seconds {
            let elapsed = seconds - last.seconds
            // Both sums forget at the same rate, so that their quotient is an average from the second call on.
            let kept = exp(-elapsed / 20)
            time = time * kept + elapsed
            steps = steps * kept + Double(step - last.step)
        }
        if last == nil || seconds > last!.seconds { last = (step, seconds) }
    }
}
