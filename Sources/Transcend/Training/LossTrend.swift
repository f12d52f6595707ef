/// Compares a smoothed loss with its minimum so far, to detect diverging training while all numbers are still finite.
public struct LossTrend: Codable, Sendable, Equatable {
    /// The number of steps over which a loss is averaged.
    public static let window = 100

    /// The number of steps observed.
    private var count = 0
    /// The mean of the first steps, then a running average.
    private var smoothed = 0.0
    private var minimum = 0.0
    /// Whether the loss has risen and not come down yet.
    private var isHigh = false

    /// Creates a trend without observations.
    public init() {}

    /// Adds the loss of a step, which must be finite. Returns the factor by which it exceeds its minimum when that
    /// passes `factor`; then nil until it has come half of the way down (in logarithms) and rises again. Always nil if
    /// `factor` is 0.
    public mutating func observe(_ loss: Double, factor: Double) -> Double? {
        count += 1
        smoothed += (loss - smoothed) / Double(min(count, Self.window))
        if count <= Self.window || smoothed < minimum { minimum = smoothed }
        guard factor > 0, minimum > 0 else { return nil }
        let rise = smoothed / minimum
        if isHigh {
            isHigh = rise > factor.squareRoot()
        } else if rise > factor {
            isHigh = true
            return rise
        }
        return nil
    }
}
