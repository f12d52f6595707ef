/// The times at which an alignment term counts: low <= t <= high.
public struct TimeWindow: Sendable, Equatable {
    /// The least noisy time that counts, in [0, 1].
    public var low: Double
    /// The noisiest time that counts, in [low, 1].
    public var high: Double

    /// Creates a window without checking the bounds; the settings that hold it do that.
    public init(_ low: Double, _ high: Double) {
        self.low = low
        self.high = high
    }

    /// The window of all times.
    public static let everywhere = TimeWindow(0, 1)

    /// Whether a time is inside the window, compared in float32 as in the published code.
    public func contains(_ t: Float) -> Bool { t >= Float(low) && t <= Float(high) }

    /// How samples outside the window are treated.
    public enum Semantics: String, Codable, Sendable, CaseIterable {
        /// Samples outside contribute nothing; the divisor stays the batch size (the paper's text).
        case perSample = "per-sample"
        /// Every sample counts, scaled by the share of the global batch inside the window. This is what the published
        /// code computes: its mask [B, 1, 1, 1] broadcasts against a loss [B].
        case batchMean = "batch-mean"
    }
}

/// Encoded as [low, high].
extension TimeWindow: Codable {
    public init(from decoder: any Decoder) throws {
        let bounds = try [Double](from: decoder)
        guard bounds.count == 2 else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: decoder.codingPath, debugDescription: "a window is two numbers, [low, high]"))
        }
        self.init(bounds[0], bounds[1])
    }

    public func encode(to encoder: any Encoder) throws { try [low, high].encode(to: encoder) }
}
