import Models
import Torch

/// The pretrained encoders whose features a method follows, and how they match the network's tokens.
public struct TargetSettings: Codable, Sendable, Equatable {
    /// What to do if an encoder has a different number of tokens than the network.
    public enum Fit: String, Codable, Sendable, CaseIterable {
        /// Refuse to start the run.
        case refuse
        /// Resize the square of features to that of the network's tokens, bicubically with antialiasing.
        case resample
    }

    /// Files of encoders, or of encoders by the names under which a store holds features; if empty, all that the store
    /// holds.
    public var encoders: [String] = []
    /// The feature size Z of each encoder, determined from the encoders or the store.
    public var widths: [Int] = []
    /// What to do if the numbers of tokens differ.
    public var fit = Fit.refuse

    /// Creates settings that follow all features that the data hold.
    public init() {}

    /// The descriptions of the settings.
    static let settings: [SettingDescription] = [
        SettingDescription(
            "encoders", .list(of: .path(or: [])),
            "Encoder files to follow; empty: those of the store."),
        SettingDescription(
            "widths", .list(of: .whole(1...1 << 20)), "Size of each encoder's features; found where none is given."),
        SettingDescription(
            "fit", .name(of: Fit.self),
            "If an encoder's number of tokens is not the network's: refuse, or resample its features."),
    ]

    /// The reason why features with so many tokens cannot be used with a network, in one sentence; nil if they can.
    public func problem(tokens: Int, encoder: String, for network: SiTConfiguration) -> String? {
        if tokens == network.tokens { return nil }
        let words = "\(encoder) has \(tokens) tokens, the network \(network.tokens)"
        if squareSide(tokens) * squareSide(tokens) != tokens {
            return words + ", and they are no square; take another encoder"
        }
        return fit == .resample
            ? nil : words + "; give --set method.targets.fit=resample, or a network or an encoder of as many"
    }
}

extension Tensor {
    /// Resizes features [B, M, Z] of a square of tokens to a square of another size, [B, tokens, Z], bicubically with
    /// antialiasing.
    public func resampledFeatures(tokens: Int) -> Tensor {
        if size(1) == tokens { return self }
        let own = squareSide(size(1))
        let square = transposed(1, 2).reshaped([size(0), size(2), own, own]).contiguous()
        return square.resizedBicubically(side: squareSide(tokens), antialiased: true).flattened(from: 2).transposed(
            1, 2)
    }
}

/// The side of a square of so many tokens, if they form one.
private func squareSide(_ tokens: Int) -> Int { Int(Double(tokens).squareRoot().rounded()) }
