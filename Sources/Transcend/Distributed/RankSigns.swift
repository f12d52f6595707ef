/// The last sign of life of each rank with its time, and the conclusions from it. Times are seconds of one clock.
struct RankSigns {
    typealias Activity = RankWatch.Activity

    /// A problem with the other ranks.
    enum Trouble {
        /// A rank has sent no sign.
        case silent(rank: Int)
        /// A rank has stayed at the same work.
        case stuck(rank: Int)
        /// All wait for each other: the network between them has failed.
        case allWait
    }

    /// A sign of one rank.
    struct Sign {
        /// The number of the sign, so that no two of a rank are alike.
        var number = 0
        var activity = Activity.files
        /// A count that increases whenever the rank makes progress.
        var ticks = 0
        var step = 0

        /// The sign as stored in the key-value store.
        var text: String { "\(number) \(activity.rawValue) \(ticks) \(step)" }

        init() {}

        /// Parses `text`; nil if it is not a sign.
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
        /// The time at which the last sign arrived.
        var changed: Double
        /// The time of the rank's last progress.
        var progressed: Double
    }

    private let rank: Int
    private var seen: [Seen]

    /// The number of ranks.
    var count: Int { seen.count }

    /// Creates the state of a rank that monitors all others.
    init(rank: Int, of size: Int, at now: Double) {
        self.rank = rank
        seen = Array(repeating: Seen(changed: now, progressed: now), count: size)
    }

    /// The last sign of a rank.
    subscript(other: Int) -> Sign { seen[other].sign }

    /// Records a rank's sign; a repeated sign has no effect.
    mutating func note(_ sign: Sign, of other: Int, at now: Double) {
        guard sign.number != seen[other].sign.number else { return }
        if !sign.isAsFar(as: seen[other].sign) { seen[other].progressed = now }
        (seen[other].sign, seen[other].changed) = (sign, now)
    }

    /// Whether a rank no longer needs the others, or has sent no sign for so many seconds.
    func isGone(_ other: Int, after seconds: Double, at now: Double) -> Bool {
        seen[other].sign.activity == .done || now - seen[other].changed > seconds
    }

    /// The first rank that has sent no sign for so many seconds.
    func silent(for seconds: Double, at now: Double) -> Int? {
        others.first { seen[$0].sign.activity != .done && now - seen[$0].changed > seconds }
    }

    /// The problem with the others, if there is one. This rank itself has been doing `activity` since a given time.
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
