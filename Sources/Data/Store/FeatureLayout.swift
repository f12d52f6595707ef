import Formats

/// The layout of an encoder's features in a store: [tokens, width] in float16 for each picture.
public struct FeatureLayout: Codable, Equatable, Sendable {
    /// The encoder's file name and a checksum of the file.
    public var encoder: String
    /// The number of tokens M.
    public var tokens: Int
    /// The size Z of the features of a token.
    public var width: Int
    /// Whether features of the mirror images are stored too.
    public var hasMirrored: Bool

    /// Creates the layout of the features of an encoder, given by its identity.
    public init(encoder: String, tokens: Int, width: Int, hasMirrored: Bool) {
        (self.encoder, self.tokens, self.width, self.hasMirrored) = (encoder, tokens, width, hasMirrored)
    }

    /// The name of the encoder's file. It may contain spaces, but the checksum after it does not.
    public var name: String { encoder.split(separator: " ").dropLast().joined(separator: " ") }
    /// The number of elements of one picture's features: tokens * width.
    public var elementCount: Int { tokens * width }
    /// The number of bytes of one picture's features.
    public var byteCount: Int { ElementType.F16.byteCount * elementCount }

    /// Whether the values are consistent, for layouts that come from a file.
    var isPossible: Bool { (1...1 << 16).contains(tokens) && (1...1 << 20).contains(width) }

    /// The name of their tensor in a shard.
    static func tensorName(_ encoder: Int, mirrored: Bool) -> String {
        "features.\(encoder)" + (mirrored ? ".mirrored" : "")
    }
}

/// Features of some pictures to be written to a shard, one picture after another as float16 bytes.
public struct EncodedFeatures: Sendable {
    /// The features of the pictures.
    public var plain: [UInt8]
    /// The features of their mirror images; empty if the layout has none.
    public var mirrored: [UInt8]

    /// Creates features, by default of no picture.
    public init(plain: [UInt8] = [], mirrored: [UInt8] = []) { (self.plain, self.mirrored) = (plain, mirrored) }

    static func += (all: inout EncodedFeatures, more: EncodedFeatures) {
        all.plain += more.plain
        all.mirrored += more.mirrored
    }
}
