import Foundation

/// How data and noise are mixed: x_t = alpha(t) x0 + sigma(t) noise, t = 0 is data and t = 1 is noise.
public enum ProbabilityPath: String, Codable, Sendable, CaseIterable {
    /// alpha = 1 - t, sigma = t: constant velocity, as published.
    case linear
    /// alpha = cos(pi t / 2), sigma = sin(pi t / 2): constant variance for data of variance 1.
    case cosine

    /// alpha and sigma at one time, and their derivatives by t.
    public struct Coefficients: Sendable {
        /// Of x_0 and of the noise, then d alpha / dt and d sigma / dt.
        public let alpha, sigma, alphaRate, sigmaRate: Double
    }

    /// linear: 1 - t and t; cosine: cos(pi t / 2) and sin(pi t / 2) (Ma et al. 2024, SiT).
    public func coefficients(_ t: Double) -> Coefficients {
        switch self {
        case .linear:
            return Coefficients(alpha: 1 - t, sigma: t, alphaRate: -1, sigmaRate: 1)
        case .cosine:
            let angle = t * .pi / 2
            return Coefficients(
                alpha: cos(angle), sigma: sin(angle), alphaRate: -.pi / 2 * sin(angle), sigmaRate: .pi / 2 * cos(angle))
        }
    }

    /// The time at which sigma / alpha equals `level`.
    public func time(noiseLevel level: Double) -> Double {
        switch self {
        case .linear: level / (1 + level)
        case .cosine: 2 / .pi * atan(level)
        }
    }
}

/// How training times are drawn.
public enum TimeSampling: String, Codable, Sendable, CaseIterable {
    /// t uniform on [0, 1).
    case uniform
    /// The same, but each of B equal parts of [0, 1) has one of the batch's B samples: the share of a batch in a window hardly
    /// varies, and neither does what a loss owes to its times.
    case stratified
    /// sigma / alpha = exp(n) with n standard normal (Karras et al. 2022, EDM).
    case lognormal
}
