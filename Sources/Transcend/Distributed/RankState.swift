/// What a rank knows about itself and the others, kept by its watch. Times are seconds of one clock.
struct RankState {
    /// The current sign of this rank.
    private(set) var own = RankSigns.Sign()
    /// The time of its last progress.
    private var since: Double
    /// The signs of the others.
    var signs: RankSigns
    /// The time of the store's last answer.
    var lastAnswer: Double

    private(set) var failure: RankFailure?
    private(set) var failedAt = 0.0
    /// A failure to be published to the others.
    private(set) var unpublished: String?
    /// Whether the computing thread knows of the failure, and is ending.
    var isEnding = false
    var isStopped = false
    /// Whether communication has ended.
    private var isDeaf = false
    var beforeExit: (@Sendable () -> Void)?

    private let rank: Int
    private let storePlace: String
    private let isServedByRank: Bool

    /// Creates the state; `storePlace` says where the store is; rank 0 may serve it.
    init(rank: Int, of size: Int, storePlace: String, isServedByRank: Bool, at now: Double) {
        (self.rank, self.storePlace, self.isServedByRank) = (rank, storePlace, isServedByRank)
        (since, lastAnswer) = (now, now)
        signs = RankSigns(rank: rank, of: size, at: now)
    }

    /// Records progress of this rank, to an activity and possibly another step.
    mutating func progress(to activity: RankWatch.Activity, step: Int? = nil) {
        own.activity = activity
        own.ticks += 1
        if let step { own.step = step }
        since = ProgressLine.monotonicSeconds()
    }

    /// The text of this rank's next sign, different each time.
    mutating func nextSign() -> String {
        own.number += 1
        return own.text
    }

    // MARK: - Failures

    /// Records a failure found by this rank, to be published or not; the first failure counts.
    mutating func fail(_ description: String, publish: Bool, at now: Double) {
        guard failure == nil else { return }
        (failure, failedAt) = (RankFailure(description), now)
        if publish, !isDeaf { unpublished = description }
    }

    /// Records a failure published by another rank, which takes precedence over an unpublished one of this rank.
    mutating func hear(_ text: String, at now: Double) {
        if failure == nil { failedAt = now }
        if failure == nil || unpublished != nil { failure = RankFailure(text) }
        unpublished = nil
    }

    /// Records that a failure's text has been published.
    mutating func published(_ text: String) {
        if unpublished == text { unpublished = nil }
    }

    /// Records that the store no longer answers, which ends all communication.
    mutating func loseStore() { (isDeaf, unpublished) = (true, nil) }

    // MARK: - Sentences

    func name(_ other: Int) -> String { "rank \(other) of \(signs.count)" }
    func place(_ other: Int) -> String { "at step \(signs[other].step)" }

    /// The description of the store's server and address.
    var server: String {
        isServedByRank ? "\(name(0)), \(place(0)), which serves the store at \(storePlace)," : storePlace
    }

    /// Records a failure if another rank or the store has kept this one waiting for longer than `timeout` seconds.
    mutating func judge(timeout: Double, at now: Double) {
        let time = readableNumber(timeout)
        if now - lastAnswer > timeout {
            return fail("\(server) has not answered for \(time) s", publish: false, at: now)
        }
        switch signs.trouble(after: timeout, at: now, activity: own.activity, since: since) {
        case nil: break
        case .silent(let other):
            fail("\(name(other)) has not been heard of for \(time) s, \(place(other))", publish: true, at: now)
        case .stuck(let other):
            fail("\(name(other)) has done nothing for \(time) s, \(place(other))", publish: true, at: now)
        case .allWait:
            fail(
                "all ranks have waited for each other for \(time) s; look at the network between them", publish: true,
                at: now)
        }
    }
}
