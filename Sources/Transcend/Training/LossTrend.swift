/// A smoothed loss against the least that it was so far, which tells when training goes wrong though all is finite.
public struct LossTrend: Codable, Sendable, Equatable {
    /// Steps over which a loss is averaged.
    public static let window = 100

    /// Steps seen.
    private var count = 0
    /// The mean of the first steps, then a running average.
    private var smoothed = 0.0
    private var minimum = 0.0
    /// Whether the loss has risen and not come back yet.
    private var isHigh = false

    /// No loss seen yet.
    public init() {}

    /// Takes the loss of a step, which must be finite. Returns by which factor it stands above its minimum when that
    /// passes `factor`; then nil until it has come back half of the way (in logarithms) and rises again. `factor` 0: nil.
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
