/// The failure that ended a run of several processes: the rank and its step, in one sentence.
public struct RankFailure: Error, CustomStringConvertible, Sendable {
    /// The sentence, on one line.
    public let description: String

    init(_ description: String) { self.description = description }
}
