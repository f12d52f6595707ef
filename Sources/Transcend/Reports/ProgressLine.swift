import Formats
import Foundation
import Synchronization

/// Shows the progress of a stage on standard error.
///
/// On a terminal one line is rewritten, at most ten times a second. Elsewhere (a file, a scheduler's log) a plain line
/// is written at the first step, then every `plainSeconds`, and at the last. Can be used from several threads.
public final class ProgressLine: Sendable {
    private struct State {
        var meter = RateMeter()
        var current: ProgressState
        /// The time at which the last line was written, and its step.
        var written: (seconds: Double, step: Int)?
        var isOnScreen = false
        var isFinished = false
    }

    private let state: Mutex<State>
    private let imagesPerStep: Int?
    private let plainSeconds: Double
    private let output: Output
    private let clock: @Sendable () -> Double

    /// Creates the progress of a stage with `total` steps, with `imagesPerStep` images each if its speed is shown in
    /// images. `clock` returns seconds and is monotonic.
    public init(
        stage: String, total: Int, imagesPerStep: Int? = nil, plainSeconds: Double = 30,
        output: Output = .standardError, clock: @escaping @Sendable () -> Double = monotonicSeconds
    ) {
        state = Mutex(State(current: ProgressState(stage: stage, step: 0, total: total)))
        self.imagesPerStep = imagesPerStep
        self.plainSeconds = plainSeconds
        self.output = output
        self.clock = clock
    }

    /// Reports that `step` steps are done; `values` is only evaluated when a line is due, since reading a loss may have
    /// to wait for the device.
    public func update(step: Int, values: @autoclosure () -> [(name: String, value: Double)] = []) {
        let now = clock()
        let width = output.width()
        let isDue = state.withLock { state in
            state.meter.record(step: step, seconds: now)
            state.current.step = step
            guard !state.isFinished, let written = state.written else { return !state.isFinished }
            return step == state.current.total || now - written.seconds >= (width == nil ? plainSeconds : 0.1)
        }
        guard isDue else { return }
        let shown = values()
        state.withLock { state in
            state.current.values = shown
            write(&state, now: now, width: width)
        }
    }

    /// Writes a message on a line of its own, above the progress; control characters in it are shown as escapes.
    public func note(_ message: String) {
        let width = output.width()
        state.withLock { state in
            output.write((state.isOnScreen ? Self.erase : "") + message.visible + "\n")
            state.isOnScreen = false
            if width != nil, state.written != nil, !state.isFinished { write(&state, now: clock(), width: width) }
        }
    }

    /// Shows the last state and ends the line; later calls do nothing.
    public func finish() {
        let width = output.width()
        state.withLock { state in
            guard !state.isFinished else { return }
            if let written = state.written, written.step != state.current.step {
                write(&state, now: clock(), width: width)
            }
            if state.isOnScreen { output.write("\n") }
            state.isOnScreen = false
            state.isFinished = true
        }
    }

    private func write(_ state: inout State, now: Double, width: Int?) {
        if let rate = state.meter.stepsPerSecond, rate > 0 {
            state.current.imagesPerSecond = imagesPerStep.map { Double($0) * rate }
            let left = state.current.total - state.current.step
            state.current.secondsLeft = state.current.total > 0 ? Double(max(0, left)) / rate : nil
        }
        if let width {
            // One column stays free, since some terminals wrap at the last one.
            output.write(Self.erase + state.current.line(width: width - 1))
            state.isOnScreen = true
        } else {
            output.write(state.current.plainLine() + "\n")
        }
        state.written = (now, state.current.step)
    }

    /// Returns to the first column and clears the line.
    private static let erase = "\r\u{1B}[K"
}

extension ProgressLine {
    /// The destination of progress.
    public struct Output: Sendable {
        let width: @Sendable () -> Int?
        let write: @Sendable (String) -> Void

        /// Creates an output of `width` columns, or nil if it is not a terminal; `width` is queried for each line,
        /// since windows can be resized.
        public init(width: @escaping @Sendable () -> Int?, write: @escaping @Sendable (String) -> Void) {
            self.width = width
            self.write = write
        }

        /// The process's standard error; with `TERM=dumb` it does not count as a terminal.
        public static let standardError: Output = {
            let terminal = Terminal.errors
            let isTerminal = terminal.canRewrite
            return Output(width: { isTerminal ? terminal.size.columns : nil }, write: terminal.write)
        }()
    }

    /// Seconds since the machine started, on a monotonic clock.
    public static let monotonicSeconds: @Sendable () -> Double = {
        Double(DispatchTime.now().uptimeNanoseconds) * 1e-9
    }
}
