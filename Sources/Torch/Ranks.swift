/// A set of processes among which work is distributed, including this one.
public protocol Ranks: Sendable {
    /// The rank of this process, from 0.
    var rank: Int { get }
    /// The number of processes.
    var size: Int { get }
    /// Gathers the bytes of each process, in rank order. All call it together; throws if one has failed.
    func gather(_ bytes: [UInt8]) throws -> [[UInt8]]
}

/// A single process that does all work itself.
public struct OneRank: Ranks {
    public let rank = 0
    public let size = 1

    /// Creates the single process.
    public init() {}

    public func gather(_ bytes: [UInt8]) -> [[UInt8]] { [bytes] }
}
