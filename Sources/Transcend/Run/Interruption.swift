import Foundation

/// Handles SIGINT, SIGTERM, and the SIGHUP of a closed terminal: during training steps the first one requests a
/// checkpoint and a stop; at any other time, and the second time, the program exits at once. Its exit status is 128
/// plus the signal's number: 130, 143, 129.
public enum Interruption {
    private nonisolated(unsafe) static var received: sig_atomic_t = 0
    private nonisolated(unsafe) static var isDeferred: sig_atomic_t = 0

    /// Whether a signal has requested a stop since `watch` was called.
    public static var isRequested: Bool { received != 0 }

    /// The exit status for the received signal; that of SIGTERM if another process received one.
    public static var status: Int32 { 128 + (received == 0 ? SIGTERM : Int32(received)) }

    /// Starts handling these signals, except for a SIGHUP that is ignored, as with nohup.
    public static func watch() {
        let isHangupIgnored =
            unsafeBitCast(signal(SIGHUP, SIG_IGN), to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
        let numbers = [SIGINT, SIGTERM] + (isHangupIgnored ? [] : [SIGHUP])
        for number in numbers {
            signal(number) { number in
                // Only async-signal-safe calls.
                if Interruption.isDeferred == 0 || Interruption.received != 0 { _exit(128 + number) }
                Interruption.received = number
                let notice: StaticString = "\nstopping with a checkpoint; once more leaves at once\n"
                _ = write(STDERR_FILENO, notice.utf8Start, notice.utf8CodeUnitCount)
            }
        }
        // A parent process may have started the program with these signals blocked.
        var all = sigset_t()
        sigemptyset(&all)
        for number in numbers { sigaddset(&all, number) }
        pthread_sigmask(SIG_UNBLOCK, &all, nil)
    }

    /// Runs `body`, which checks `isRequested` often and then ends as it sees fit.
    static func whileDeferred<Result>(_ body: () throws -> Result) rethrows -> Result {
        isDeferred = 1
        defer { isDeferred = 0 }
        return try body()
    }
}
