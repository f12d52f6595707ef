/// What each rank has told last and when, and what that says of it. Times are seconds of one clock.
struct RankSigns {
    typealias Activity = RankWatch.Activity

    /// What is wrong with the others.
    enum Trouble {
        /// One that has told nothing.
        case silent(rank: Int)
        /// One that has stayed at the same work.
        case stuck(rank: Int)
        /// All wait for each other: the network between them has failed.
        case allWait
    }

    /// A sign of one rank.
    struct Sign {
        /// Counts the signs of a rank, so that no two are alike.
        var number = 0
        var activity = Activity.files
        /// Changes whenever the rank gets on.
        var ticks = 0
        var step = 0

        /// As the store keeps it.
        var text: String { "\(number) \(activity.rawValue) \(ticks) \(step)" }

        init() {}

        /// Reads `text`; nil where it is something else.
        init?(_ text: String) {
            let fields = text.split(separator: " ").compactMap { Int($0) }
            guard fields.count == 4, let activity = Activity(rawValue: fields[1]) else { return nil }
            (number, self.activity, ticks, step) = (fields[0], activity, fields[2], fields[3])
        }

        func isAsFar(as other: Sign) -> Bool {
            (activity, ticks, step) == (other.activity, other.ticks, other.step)
        }
    }

    private struct Seen {
        var sign = Sign()
        /// When it came.
        var changed: Double
        /// Since when the rank has got no further.
        var progressed: Double
    }

    private let rank: Int
    private var seen: [Seen]

    /// The number of ranks.
    var count: Int { seen.count }

    /// For a rank that looks at all others.
    init(rank: Int, of size: Int, at now: Double) {
        self.rank = rank
        seen = Array(repeating: Seen(changed: now, progressed: now), count: size)
    }

    /// The last sign of a rank.
    subscript(other: Int) -> Sign { seen[other].sign }

    /// Notes what a rank has told; another time the same sign says nothing.
    mutating func note(_ sign: Sign, of other: Int, at now: Double) {
        guard sign.number != seen[other].sign.number else { return }
        if !sign.isAsFar(as: seen[other].sign) { seen[other].progressed = now }
        (seen[other].sign, seen[other].changed) = (sign, now)
    }

    /// Whether a rank needs the others no more, or has told nothing for so many seconds.
    func isGone(_ other: Int, after seconds: Double, at now: Double) -> Bool {
        seen[other].sign.activity == .done || now - seen[other].changed > seconds
    }

    /// The first rank that has told nothing for so many seconds.
    func silent(for seconds: Double, at now: Double) -> Int? {
        others.first { seen[$0].sign.activity != .done && now - seen[$0].changed > seconds }
    }

    /// What is wrong with the others, if anything is. This rank itself has done `activity` since a time.
    func trouble(after seconds: Double, at now: Double, activity: Activity, since: Double) -> Trouble? {
        if let silent = silent(for: seconds, at: now) { return .silent(rank: silent) }
        func stays(at activity: Activity, _ other: Int) -> Bool {
            seen[other].sign.activity == activity && now - seen[other].progressed > seconds
        }
        if let stuck = others.first(where: { stays(at: .work, $0) }) { return .stuck(rank: stuck) }
        let allWait = activity == .wait && now - since > seconds && others.allSatisfy { stays(at: .wait, $0) }
        return allWait ? .allWait : nil
    }

    private var others: some Sequence<Int> { seen.indices.lazy.filter { $0 != rank } }
}
