/// Processes among which work is dealt out, this one of them.
public protocol Ranks: Sendable {
    /// This process, from 0.
    var rank: Int { get }
    /// The number of processes.
    var size: Int { get }
    /// What each process has given, in the order of ranks. All call it together; throws if one has failed.
    func gather(_ bytes: [UInt8]) throws -> [[UInt8]]
}

/// A process that does all work itself.
public struct OneRank: Ranks {
    public let rank = 0
    public let size = 1

    /// There is only one such.
    public init() {}

    public func gather(_ bytes: [UInt8]) -> [[UInt8]] { [bytes] }
}
