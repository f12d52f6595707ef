import Models
import Torch

/// The features of pretrained encoders that a method follows: whose they are, and how they meet the network's tokens.
public struct TargetSettings: Codable, Sendable, Equatable {
    /// What happens where an encoder has another number of tokens than the network.
    public enum Fit: String, Codable, Sendable, CaseIterable {
        /// The run does not begin.
        case refuse
        /// The square of features is resized to that of the network's tokens, bicubically with antialiasing.
        case resample
    }

    /// Files of encoders, or of those by whose names a store holds features; empty: all that the store holds.
    public var encoders: [String] = []
    /// The size Z of the features of each, found from the encoders or the store.
    public var widths: [Int] = []
    /// What happens where the numbers of tokens differ.
    public var fit = Fit.refuse

    /// Those that the data hold.
    public init() {}

    /// What the settings mean.
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

    /// What is impossible about features of so many tokens with a network, in one sentence; nil if nothing is.
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
    /// Features [B, M, Z] of a square of tokens as those of a square of another size, [B, tokens, Z]: bicubically, with
    /// antialiasing.
    public func resampledFeatures(tokens: Int) -> Tensor {
        if size(1) == tokens { return self }
        let own = squareSide(size(1))
        let square = transposed(1, 2).reshaped([size(0), size(2), own, own]).contiguous()
        return square.resizedBicubically(side: squareSide(tokens), antialiased: true).flattened(from: 2).transposed(
            1, 2)
    }
}

/// The side of a square of so many tokens, if they are one.
private func squareSide(_ tokens: Int) -> Int { Int(Double(tokens).squareRoot().rounded()) }
