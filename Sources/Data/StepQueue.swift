import Foundation

/// Thrown when a batch is requested from a loader that has been stopped.
public struct LoaderStopped: Error, CustomStringConvertible, Equatable {
    /// Creates the only value.
    public init() {}

    public var description: String { "the loader has been stopped" }
}

/// Values for consecutive steps, made in advance by threads and handed out in order. The threads end with the queue.
public final class StepQueue<Value: Sendable>: Sendable {
    private let state: QueueState<Value>

    /// Starts `threads` threads, which call `make` from `firstStep` on, at most `ahead` steps further than were handed
    /// out.
    public init(firstStep: Int, ahead: Int, threads: Int, make: @escaping @Sendable (Int) throws -> Value) {
        precondition(firstStep >= 0 && ahead > 0 && threads > 0)
        let state = QueueState(firstStep: firstStep, ahead: ahead, threads: threads, make: make)
        self.state = state
        for number in 0..<threads {
            let thread = Thread { state.run() }
            thread.name = "loader-\(number)"
            thread.start()
        }
    }

    deinit { stop() }

    /// Waits for the value of the next step; an error is thrown once and stops the queue.
    public func next() throws -> Value { try state.next() }

    /// Stops the threads, after the values that they are making, and waits for them.
    public func stop() { state.stop() }
}

/// The state that a queue shares with its threads.
///
/// All of it is guarded by `condition`; `make` is called outside the lock, concurrently if there are several threads.
private final class QueueState<Value: Sendable>: @unchecked Sendable {
    private let condition = NSCondition()
    private let ahead: Int
    private let make: @Sendable (Int) throws -> Value

    private var ready: [Int: Result<Value, any Error>] = [:]
    private var nextToHandOut: Int
    private var nextToMake: Int
    private var isStopped = false
    private var runningThreads: Int

    init(firstStep: Int, ahead: Int, threads: Int, make: @escaping @Sendable (Int) throws -> Value) {
        self.ahead = ahead
        self.make = make
        nextToHandOut = firstStep
        nextToMake = firstStep
        runningThreads = threads
    }

    func next() throws -> Value {
        condition.lock()
        while !isStopped && ready[nextToHandOut] == nil { condition.wait() }
        guard !isStopped, let result = ready.removeValue(forKey: nextToHandOut) else {
            condition.unlock()
            throw LoaderStopped()
        }
        nextToHandOut += 1
        condition.broadcast()
        condition.unlock()
        if case .failure = result { stop() }
        return try result.get()
    }

    func stop() {
        condition.lock()
        isStopped = true
        condition.broadcast()
        while runningThreads > 0 { condition.wait() }
        ready = [:]
        condition.unlock()
    }

    /// The body of each thread.
    func run() {
        while let step = takeStep() {
            let result = Result { try make(step) }
            condition.lock()
            ready[step] = result
            condition.broadcast()
            condition.unlock()
        }
    }

    /// The next step to make, as soon as there is room for it; nil once the queue is stopped.
    private func takeStep() -> Int? {
        condition.lock()
        defer { condition.unlock() }
        while !isStopped && nextToMake >= nextToHandOut + ahead { condition.wait() }
        guard !isStopped else {
            runningThreads -= 1
            condition.broadcast()
            return nil
        }
        defer { nextToMake += 1 }
        return nextToMake
    }
}
