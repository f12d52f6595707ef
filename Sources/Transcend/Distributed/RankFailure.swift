/// What ended a run of several processes: a rank and where it was, in one sentence.
public struct RankFailure: Error, CustomStringConvertible, Sendable {
    /// The sentence, on one line.
    public let description: String

    init(_ description: String) { self.description = description }
}
