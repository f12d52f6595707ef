import Foundation

/// The path between data and noise: x_t = alpha(t) x0 + sigma(t) noise, where t = 0 is data and t = 1 is noise.
public enum ProbabilityPath: String, Codable, Sendable, CaseIterable {
    /// alpha = 1 - t, sigma = t: constant velocity, as published.
    case linear
    /// alpha = cos(pi t / 2), sigma = sin(pi t / 2): constant variance for data of variance 1.
    case cosine

    /// The coefficients alpha and sigma at one time, and their derivatives with respect to t.
    public struct Coefficients: Sendable {
        /// The coefficients of x_0 and of the noise, then d alpha / dt and d sigma / dt.
        public let alpha, sigma, alphaRate, sigmaRate: Double
    }

    /// The coefficients at a time: linear 1 - t and t; cosine cos(pi t / 2) and sin(pi t / 2) (Ma et al. 2024, SiT).
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

/// The distribution of training times.
public enum TimeSampling: String, Codable, Sendable, CaseIterable {
    /// t uniform on [0, 1).
    case uniform
    /// t uniform on [0, 1), but with one of the batch's B samples in each of B equal parts: the share of a batch inside
    /// a window hardly varies, nor does the loss because of its times.
    case stratified
    /// t such that sigma / alpha = exp(n) with n standard normal (Karras et al. 2022, EDM).
    case lognormal
}
