/// What a rank knows of itself and the others, as its watch keeps it. Times are seconds of one clock.
struct RankState {
    /// What this rank does.
    private(set) var own = RankSigns.Sign()
    /// Since when it has got no further.
    private var since: Double
    /// What the others told.
    var signs: RankSigns
    /// When the store answered last.
    var lastAnswer: Double

    private(set) var failure: RankFailure?
    private(set) var failedAt = 0.0
    /// The failure that the others are to be told of.
    private(set) var unpublished: String?
    /// The thread that computes knows of the failure, and is ending.
    var isEnding = false
    var isStopped = false
    /// Nothing is told or heard any more.
    private var isDeaf = false
    var beforeExit: (@Sendable () -> Void)?

    private let rank: Int
    private let storePlace: String
    private let isServedByRank: Bool

    /// `storePlace` says where the store is; rank 0 may serve it.
    init(rank: Int, of size: Int, storePlace: String, isServedByRank: Bool, at now: Double) {
        (self.rank, self.storePlace, self.isServedByRank) = (rank, storePlace, isServedByRank)
        (since, lastAnswer) = (now, now)
        signs = RankSigns(rank: rank, of: size, at: now)
    }

    /// This rank has got on, to an activity and maybe another step.
    mutating func progress(to activity: RankWatch.Activity, step: Int? = nil) {
        own.activity = activity
        own.ticks += 1
        if let step { own.step = step }
        since = ProgressLine.monotonicSeconds()
    }

    /// The text that tells what this rank does now, another one each time.
    mutating func nextSign() -> String {
        own.number += 1
        return own.text
    }

    // MARK: - Failures

    /// Records what this rank has found, to be published or not; the first failure counts.
    mutating func fail(_ description: String, publish: Bool, at now: Double) {
        guard failure == nil else { return }
        (failure, failedAt) = (RankFailure(description), now)
        if publish, !isDeaf { unpublished = description }
    }

    /// Records what another rank has published, which comes before what this one has not.
    mutating func hear(_ text: String, at now: Double) {
        if failure == nil { failedAt = now }
        if failure == nil || unpublished != nil { failure = RankFailure(text) }
        unpublished = nil
    }

    /// The others can know of this text now.
    mutating func published(_ text: String) {
        if unpublished == text { unpublished = nil }
    }

    /// The store does not answer any more: nobody will hear of anything.
    mutating func loseStore() { (isDeaf, unpublished) = (true, nil) }

    // MARK: - Sentences

    func name(_ other: Int) -> String { "rank \(other) of \(signs.count)" }
    func place(_ other: Int) -> String { "at step \(signs[other].step)" }

    /// Who serves the store and where.
    var server: String {
        isServedByRank ? "\(name(0)), \(place(0)), which serves the store at \(storePlace)," : storePlace
    }

    /// Fails where another rank or the store has kept this one waiting for longer than `timeout` seconds.
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
