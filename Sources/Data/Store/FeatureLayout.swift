import Formats

/// Features of an encoder that a store holds of each picture: [tokens, width] in float16.
public struct FeatureLayout: Codable, Equatable, Sendable {
    /// The encoder's file and a checksum of it.
    public var encoder: String
    /// The number of tokens M.
    public var tokens: Int
    /// The size Z of the features of a token.
    public var width: Int
    /// Whether there are those of the mirror images too.
    public var hasMirrored: Bool

    /// Of an encoder by its identity.
    public init(encoder: String, tokens: Int, width: Int, hasMirrored: Bool) {
        (self.encoder, self.tokens, self.width, self.hasMirrored) = (encoder, tokens, width, hasMirrored)
    }

    /// The name of the encoder's file, which may have spaces; the checksum behind it has none.
    public var name: String { encoder.split(separator: " ").dropLast().joined(separator: " ") }
    /// The numbers of one picture: tokens * width.
    public var elementCount: Int { tokens * width }
    /// The bytes of one picture.
    public var byteCount: Int { ElementType.F16.byteCount * elementCount }

    /// Whether the numbers make sense together, for layouts that come from a file.
    var isPossible: Bool { (1...1 << 16).contains(tokens) && (1...1 << 20).contains(width) }

    /// The name of a tensor of them in a shard.
    static func tensorName(_ encoder: Int, mirrored: Bool) -> String {
        "features.\(encoder)" + (mirrored ? ".mirrored" : "")
    }
}

/// Features of some pictures on their way into a shard, one picture after another as bytes of float16.
public struct EncodedFeatures: Sendable {
    /// Of the pictures.
    public var plain: [UInt8]
    /// Of their mirror images; empty where the layout has none.
    public var mirrored: [UInt8]

    /// Those of no picture unless others are given.
    public init(plain: [UInt8] = [], mirrored: [UInt8] = []) { (self.plain, self.mirrored) = (plain, mirrored) }

    static func += (all: inout EncodedFeatures, more: EncodedFeatures) {
        all.plain += more.plain
        all.mirrored += more.mirrored
    }
}
