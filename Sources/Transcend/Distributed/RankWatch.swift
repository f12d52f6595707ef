import Formats
import Foundation
import Synchronization
import Torch

/// Ensures that all ranks end when one of them dies, hangs or loses its network.
///
/// Each rank reports its activity to the store at short intervals, and reads the reports of the others. A rank that
/// reports nothing, or stays at the same work, for `timeout` seconds is named to all. A rank that cannot reach the
/// store ends itself. If the computing thread does not notice by itself, the process is ended for it.
///
/// Two threads share the work: only `beat` waits for the store, possibly for ever, while `watch` judges and ends the
/// process.
package final class RankWatch: @unchecked Sendable {
    /// The activity of the computing thread.
    package enum Activity: Int {
        /// Reads or writes files, or does other work without reporting progress; its duration is not judged.
        case files = 0
        /// Computes, and reports its progress.
        case work = 1
        /// Waits for the other ranks.
        case wait = 2
        /// No longer needs the others.
        case done = 3
    }

    private let store: KeyValueStore
    private let rank: Int
    private let timeout: Double
    private let interval: Double
    private let count: Int
    private let state: Mutex<RankState>
    /// Ends the pause between two beats.
    private let news = DispatchSemaphore(value: 0)

    /// Starts both threads.
    ///
    /// - Parameters:
    ///   - store: a connection of its own.
    ///   - rank: the rank of this process.
    ///   - size: the number of processes.
    ///   - timeout: seconds after which a silent or stuck rank ends all.
    ///   - storePlace: where the store is.
    ///   - isServedByRank: whether rank 0 serves the store.
    package init(
        store: KeyValueStore, rank: Int, size: Int, timeout: Double, storePlace: String, isServedByRank: Bool
    ) {
        (self.store, self.rank, count, self.timeout) = (store, rank, size, timeout)
        interval = min(1, timeout / 10)
        state = Mutex(
            RankState(rank: rank, of: size, storePlace: storePlace, isServedByRank: isServedByRank, at: Self.now))
        for (name, loop) in [("beat", beat), ("watch", watch)] {
            let thread = Thread(block: loop)
            thread.name = name
            thread.start()
        }
    }

    // MARK: - Reporting progress

    /// Reports progress, at a step; called at least once in each step.
    package func tick(step: Int? = nil) { state.withLock { $0.progress(to: .work, step: step) } }

    /// Runs `body` as an activity; throws if a rank has failed meanwhile.
    package func during<Result>(_ activity: Activity, _ body: () throws -> Result) throws -> Result {
        try throwFailure()
        let before = state.withLock { state in
            defer { state.progress(to: activity) }
            return state.own.activity
        }
        defer { state.withLock { $0.progress(to: before) } }
        return try body()
    }

    /// The failure of a rank, if one is known.
    package var failure: RankFailure? { state.withLock { $0.failure } }

    /// Throws the failure of a rank, if one is known.
    package func throwFailure() throws {
        let failure = state.withLock { state in
            if state.failure != nil { state.isEnding = true }
            return state.failure
        }
        if let failure { throw failure }
    }

    /// The number of intervals without a sign after which a rank counts as dead, once its connection is lost.
    private static let silentIntervals = 4.0

    /// Explains why an operation of the group failed: by the rank that is named shortly, or else by the operation
    /// itself.
    func explain(_ error: any Error) -> any Error {
        state.withLock { $0.isEnding = true }
        let quiet = Self.silentIntervals * interval
        let patience = min(timeout, quiet + 2 * interval + 2)
        let start = Self.now
        while true {
            let now = Self.now
            if failure != nil {
                waitForPublication()
                if let failure { return failure }
            }
            state.withLock { state in
                if now - start > quiet, let silent = state.signs.silent(for: quiet, at: now) {
                    let place = state.place(silent)
                    state.fail("\(state.name(silent)) has ended or cannot be reached, \(place)", publish: true, at: now)
                } else if now - start > patience {
                    let step = state.own.step
                    state.fail(
                        "rank \(rank) lost its connection to another at step \(step): \(error)", publish: true, at: now)
                }
            }
            Thread.sleep(forTimeInterval: 0.05)
        }
    }

    /// Tells the other ranks that this one ends, with the reason.
    func announce(_ reason: String) {
        state.withLock { state in
            state.isEnding = true
            state.fail(
                "rank \(rank) of \(count) has ended at step \(state.own.step): \(reason)", publish: true, at: Self.now)
        }
        waitForPublication()
    }

    /// Waits briefly until the others can know of a failure found by this rank.
    func waitForPublication() {
        news.signal()
        let end = Self.now + Self.grace.notice
        while state.withLock({ $0.unpublished != nil }), Self.now < end { Thread.sleep(forTimeInterval: 0.005) }
    }

    /// Sets what is done before the process is ended for a thread that does not notice, such as completing files.
    func setBeforeExit(_ body: (@Sendable () -> Void)?) { state.withLock { $0.beforeExit = body } }

    /// Declares that this rank no longer needs the others.
    func finish() {
        state.withLock { $0.progress(to: .done) }
        try? tell()
    }

    /// Waits, at most `seconds`, until all others have finished, heard of the failure, or fallen silent.
    func waitForOthers(atMost seconds: Double) {
        let (end, silence) = (Self.now + seconds, Self.silentIntervals * interval)
        while Self.now < end {
            let gone = (0..<count).allSatisfy { other in
                other == rank || state.withLock { $0.signs.isGone(other, after: silence, at: Self.now) }
                    || (try? store.text("heard/\(other)")) ?? nil != nil
            }
            if gone { return }
            Thread.sleep(forTimeInterval: 0.02)
        }
    }

    /// Ends both threads.
    package func stop() {
        state.withLock { $0.isStopped = true }
        news.signal()
    }

    // MARK: - Communication over the store

    private func beat() {
        while !state.withLock({ $0.isStopped }) {
            do {
                try tell()
                try listen()
                try publish()
            } catch {
                // The connection fails at once if the serving process has ended.
                state.withLock { state in
                    state.loseStore()
                    guard state.own.activity != .done, !state.isStopped else { return }
                    state.fail("\(state.server) has ended or cannot be reached", publish: false, at: Self.now)
                }
                return
            }
            _ = news.wait(timeout: .now() + interval)
        }
    }

    private func tell() throws { try store.set("beat/\(rank)", state.withLock { $0.nextSign() }) }

    private func listen() throws {
        for other in 0..<count where other != rank {
            guard let sign = try store.text("beat/\(other)").flatMap(RankSigns.Sign.init) else { continue }
            state.withLock { $0.signs.note(sign, of: other, at: Self.now) }
        }
        let failure = try store.text("failure")
        state.withLock { $0.lastAnswer = Self.now }
        if let failure {
            state.withLock { $0.hear(failure, at: Self.now) }
            try? store.set("heard/\(rank)", "")
        }
    }

    /// Publishes a failure found by this rank.
    private func publish() throws {
        guard let text = state.withLock({ $0.unpublished }) else { return }
        try store.set("failure", text)
        try store.set("heard/\(rank)", "")
        state.withLock { $0.published(text) }
    }

    // MARK: - Ending the process

    private func watch() {
        while !state.withLock({ $0.isStopped }) {
            let hasFailed = state.withLock { state in
                if state.failure == nil { state.judge(timeout: timeout, at: Self.now) }
                return state.failure != nil
            }
            if hasFailed { endIfIgnored() }
            Thread.sleep(forTimeInterval: interval / 2)
        }
    }

    /// The seconds that the computing thread has to notice a failure, and then to end; the latter also for
    /// `beforeExit`.
    private static let grace = (notice: 3.0, end: 60.0)

    private func endIfIgnored() {
        let (failure, body) = state.withLock { state in
            let limit = state.isEnding ? Self.grace.end : Self.grace.notice
            return Self.now - state.failedAt > limit
                ? (state.failure, state.isEnding ? nil : state.beforeExit) : (nil, nil)
        }
        guard let failure else { return }
        StandardError.write("transcend: error: \("\(failure)".visible)\n")
        if let body {
            // The work before the exit may hang as well.
            let done = DispatchSemaphore(value: 0)
            Thread.detachNewThread {
                body()
                done.signal()
            }
            _ = done.wait(timeout: .now() + Self.grace.end)
        }
        _exit(1)
    }

    private static var now: Double { ProgressLine.monotonicSeconds() }
}
