import Formats
import Foundation
import Synchronization
import Torch

/// What ended a run of several processes: a rank and where it was, in one sentence.
public struct RankFailure: Error, CustomStringConvertible, Sendable {
    /// The sentence, on one line.
    public let description: String

    init(_ description: String) { self.description = description }
}

/// Sees to it that all ranks end when one of them dies, hangs or loses its network.
///
/// Each rank tells the store in short intervals what it does, and looks at what the others told. One that tells nothing, or
/// stays at the same work, for `timeout` seconds is named to all. A rank that cannot reach the store ends itself. Where the
/// thread that computes does not notice by itself, the process is ended for it.
final class RankWatch: @unchecked Sendable {
    /// What the thread that computes is doing.
    enum Activity: Int {
        /// Reads or writes files, or does other things of which it tells nothing; how long that takes is not judged.
        case files = 0
        /// Computes, and tells of its progress.
        case work = 1
        /// Waits for the other ranks.
        case wait = 2
        /// Needs the others no more.
        case done = 3
    }

    private struct Seen {
        var text = ""
        /// When the text changed last.
        var changed = 0.0
        /// What it does and has done, and since when that is the same.
        var progress = ""
        var progressed = 0.0
        var activity = Activity.files
        var step = 0
    }

    private struct State {
        var activity = Activity.files
        var ticks = 0
        var step = 0
        var beats = 0
        var seen: [Seen]
        var lastAnswer: Double
        var failure: RankFailure?
        var failedAt = 0.0
        /// The thread that computes knows of the failure, and is ending.
        var isEnding = false
        var isStopped = false
        var beforeExit: (@Sendable () -> Void)?
    }

    private let store: KeyValueStore
    private let rank: Int
    private let timeout: Double
    private let interval: Double
    private let storePlace: String
    private let state: Mutex<State>

    /// `store` is a connection of its own; `hosts` are those of the ranks; `storePlace` says who serves the store.
    init(store: KeyValueStore, rank: Int, size: Int, timeout: Double, storePlace: String) {
        (self.store, self.rank, self.timeout, self.storePlace) = (store, rank, timeout, storePlace)
        interval = min(1, timeout / 10)
        let now = ProgressLine.monotonicSeconds()
        state = Mutex(
            State(
                seen: Array(repeating: Seen(changed: now, progressed: now), count: size), lastAnswer: now))
        for (name, loop) in [("beat", beat), ("watch", watch)] {
            let thread = Thread(block: loop)
            thread.name = name
            thread.start()
        }
    }

    // MARK: - What this rank does

    /// Says that work goes on, at a step; called at least once in each step.
    func tick(step: Int? = nil) {
        state.withLock { state in
            state.ticks += 1
            state.activity = .work
            if let step { state.step = step }
        }
    }

    /// Runs `body` as an activity; throws if a rank has failed meanwhile.
    func during<Result>(_ activity: Activity, _ body: () throws -> Result) throws -> Result {
        try throwFailure()
        let before = state.withLock { state in
            defer { (state.activity, state.ticks) = (activity, state.ticks + 1) }
            return state.activity
        }
        defer { state.withLock { ($0.activity, $0.ticks) = (before, $0.ticks + 1) } }
        return try body()
    }

    /// Throws what is known of a rank that has failed.
    func throwFailure() throws {
        let failure = state.withLock { state in
            if state.failure != nil { state.isEnding = true }
            return state.failure
        }
        if let failure { throw failure }
    }

    /// Intervals without a sign after which a rank counts as dead, once its connection is lost.
    private static let silentIntervals = 4.0

    /// Why an operation of the group failed: the rank that is named in a moment, else the operation itself.
    func explain(_ error: any Error) -> any Error {
        state.withLock { $0.isEnding = true }
        let quiet = Self.silentIntervals * interval
        let patience = min(timeout, quiet + 2 * interval + 2)
        let start = ProgressLine.monotonicSeconds()
        while true {
            let now = ProgressLine.monotonicSeconds()
            if let failure = state.withLock({ $0.failure }) { return failure }
            if now - start > quiet, let silent = silent(for: quiet, at: now) {
                fail("\(name(silent)) has ended or cannot be reached, \(place(silent))")
            } else if now - start > patience {
                let step = state.withLock { $0.step }
                fail("rank \(rank) lost its connection to another at step \(step): \(error)")
            }
            Thread.sleep(forTimeInterval: 0.05)
        }
    }

    /// Tells the other ranks that this one ends, with the reason.
    func announce(_ reason: String) {
        let step = state.withLock { state in
            state.isEnding = true
            return state.step
        }
        fail("rank \(rank) of \(count) has ended at step \(step): \(reason)")
    }

    /// What is done before the process is ended for a thread that does not notice, such as completing files.
    func setBeforeExit(_ body: (@Sendable () -> Void)?) { state.withLock { $0.beforeExit = body } }

    /// Says that this rank needs the others no more.
    func finish() {
        state.withLock { $0.activity = .done }
        try? tell()
    }

    /// Waits, at most `seconds`, until all others have finished, heard of the failure, or fallen silent.
    func waitForOthers(atMost seconds: Double) {
        let end = ProgressLine.monotonicSeconds() + seconds
        while ProgressLine.monotonicSeconds() < end {
            let silence = ProgressLine.monotonicSeconds() - Self.silentIntervals * interval
            let gone = (0..<count).allSatisfy { other in
                other == rank
                    || state.withLock { $0.seen[other].activity == .done || $0.seen[other].changed < silence }
                    || (try? store.text("heard/\(other)")) ?? nil != nil
            }
            if gone { return }
            Thread.sleep(forTimeInterval: 0.02)
        }
    }

    func stop() { state.withLock { $0.isStopped = true } }

    // MARK: - What the others do

    private var count: Int { state.withLock { $0.seen.count } }
    private func name(_ other: Int) -> String { "rank \(other) of \(count)" }
    private func place(_ other: Int) -> String { "at step \(state.withLock { $0.seen[other].step })" }

    /// A rank that has told nothing new for so many seconds.
    private func silent(for seconds: Double, at now: Double) -> Int? {
        state.withLock { state in
            state.seen.indices.first {
                $0 != rank && state.seen[$0].activity != .done && now - state.seen[$0].changed > seconds
            }
        }
    }

    private func beat() {
        while !state.withLock({ $0.isStopped }) {
            do {
                try tell()
                try listen()
            } catch {
                // Nothing answers at once where its process has ended.
                let isNeeded = state.withLock { $0.activity != .done && $0.failure == nil && !$0.isStopped }
                if isNeeded { fail("\(storePlace) has ended or cannot be reached", publish: false) }
                return
            }
            Thread.sleep(forTimeInterval: interval)
        }
    }

    private func tell() throws {
        let text = state.withLock { state in
            state.beats += 1
            return "\(state.beats) \(state.activity.rawValue) \(state.ticks) \(state.step)"
        }
        try store.set("beat/\(rank)", text)
    }

    private func listen() throws {
        for other in 0..<count where other != rank {
            let text = try store.text("beat/\(other)") ?? ""
            let now = ProgressLine.monotonicSeconds()
            state.withLock { state in
                guard state.seen[other].text != text else { return }
                let fields = text.split(separator: " ").compactMap { Int($0) }
                let progress = fields.dropFirst().map(String.init).joined(separator: " ")
                if progress != state.seen[other].progress { state.seen[other].progressed = now }
                (state.seen[other].text, state.seen[other].changed) = (text, now)
                state.seen[other].progress = progress
                guard fields.count == 4 else { return }
                state.seen[other].activity = Activity(rawValue: fields[1]) ?? .files
                state.seen[other].step = fields[3]
            }
        }
        let failure = try store.text("failure")
        state.withLock { $0.lastAnswer = ProgressLine.monotonicSeconds() }
        if let failure {
            record(failure)
            try? store.set("heard/\(rank)", "")
        }
    }

    private func record(_ failure: String) {
        state.withLock { state in
            guard state.failure == nil else { return }
            (state.failure, state.failedAt) = (RankFailure(failure), ProgressLine.monotonicSeconds())
        }
    }

    /// The first failure counts; what is told to the others may come too late for them to hear.
    private func fail(_ description: String, publish: Bool = true) {
        guard state.withLock({ $0.failure }) == nil else { return }
        if publish {
            let first = (try? store.text("failure")) ?? nil
            if first == nil { try? store.set("failure", description) }
            try? store.set("heard/\(rank)", "")
            record(first ?? description)
        } else {
            record(description)
        }
    }

    private func watch() {
        while !state.withLock({ $0.isStopped }) {
            judge(at: ProgressLine.monotonicSeconds())
            Thread.sleep(forTimeInterval: interval / 2)
        }
    }

    private func judge(at now: Double) {
        let (silence, stuck, failure) = state.withLock { state in
            let stuck = state.seen.indices.first {
                $0 != rank && state.seen[$0].activity == .work && now - state.seen[$0].progressed > timeout
            }
            // Where all wait, the network between them has failed.
            let others = state.seen.enumerated().filter { $0.offset != rank }.map(\.element)
            let allWait =
                state.activity == .wait && others.allSatisfy { $0.activity == .wait && now - $0.progressed > timeout }
            return (now - state.lastAnswer, stuck ?? (allWait ? -1 : nil), state.failure)
        }
        if failure != nil { return endIfIgnored(at: now) }
        if silence > timeout {
            fail("\(storePlace) has not answered for \(readableNumber(timeout)) s", publish: false)
        } else if let silent = silent(for: timeout, at: now) {
            fail("\(name(silent)) has not been heard of for \(readableNumber(timeout)) s, \(place(silent))")
        } else if let stuck {
            fail(
                stuck < 0
                    ? "all ranks have waited for each other for \(readableNumber(timeout)) s; look at the network between them"
                    : "\(name(stuck)) has done nothing for \(readableNumber(timeout)) s, \(place(stuck))")
        }
    }

    /// Seconds that the thread that computes has to notice a failure, and then to end.
    private static let grace = (notice: 3.0, end: 60.0)

    private func endIfIgnored(at now: Double) {
        let (failure, body) = state.withLock { state in
            let limit = state.isEnding ? Self.grace.end : Self.grace.notice
            return now - state.failedAt > limit ? (state.failure, state.beforeExit) : (nil, nil)
        }
        guard let failure else { return }
        StandardError.write("transcend: error: \(failure)\n")
        body?()
        _exit(1)
    }
}
