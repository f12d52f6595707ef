import Formats
import Foundation

/// A number of a variant, from the run of each seed.
public struct SeedValues: Sendable, Equatable {
    /// The number for one seed.
    public struct Value: Sendable, Equatable {
        /// The seed.
        public let seed: UInt64
        /// The number.
        public let value: Double
    }

    /// The values in the order of the seeds; seeds without the number are left out.
    public let values: [Value]

    /// Collects the values of the runs that have the number.
    public init(_ values: [(seed: UInt64, value: Double?)]) {
        self.values = values.compactMap { seed, value in value.map { Value(seed: seed, value: $0) } }
    }

    /// The mean; nil if there are no values.
    public var mean: Double? {
        values.isEmpty ? nil : values.reduce(0) { $0 + $1.value } / Double(values.count)
    }

    /// The spread between seeds: the difference for two, the standard deviation (n - 1) for more; nil for one.
    public var spread: Double? {
        guard let mean, values.count > 1 else { return nil }
        let sum = values.reduce(0) { $0 + ($1.value - mean) * ($1.value - mean) }
        return values.count == 2
            ? abs(values[0].value - values[1].value) : (sum / Double(values.count - 1)).squareRoot()
    }

    /// The values of the seeds that `others` has too.
    public func common(with others: SeedValues) -> SeedValues {
        SeedValues(
            values.filter { one in others.values.contains { $0.seed == one.seed } }.map { ($0.seed, $0.value) })
    }

    /// The end of a sentence about the difference between two means, over the seeds that both have, and whether it
    /// exceeds the larger of both spreads; nil if they have no seed in common.
    public func verdict(against others: SeedValues, of name: String) -> String? {
        let (own, base) = (common(with: others), others.common(with: self))
        guard let mean = own.mean, let other = base.mean else { return nil }
        let (difference, count) = (abs(mean - other), own.values.count)
        let share = String(format: "%.1f", 100 * difference / abs(other))
        let amount = "\(readableNumber(difference)) (\(share) %) \(mean < other ? "lower" : "higher") than \(name)"
        guard let ownSpread = own.spread, let otherSpread = base.spread else {
            return "\(amount), of one seed; whether another seed would change as much cannot be told."
        }
        let spread = max(ownSpread, otherSpread)
        let measure = count == 2 ? "the two seeds differ by up to" : "the seeds' standard deviation is up to"
        let conclusion =
            difference > spread
            ? "so that the difference is larger than what seeds make" : "so that seeds alone make as much"
        return "\(amount) in the mean of \(count) seeds; \(measure) \(readableNumber(spread)), \(conclusion)."
    }

    /// The mean, the spread and the value of each seed.
    var json: JSONValue {
        .object([
            .init("mean", mean.map(JSONValue.number) ?? .null), .init("spread", spread.map(JSONValue.number) ?? .null),
            .init("seeds", .object(values.map { .init("\($0.seed)", .number($0.value)) })),
        ])
    }
}
