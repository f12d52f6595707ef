import Foundation

/// Whether the user or the system has asked the program to end.
public enum Interruption {
    private nonisolated(unsafe) static var requests: sig_atomic_t = 0

    /// True after SIGINT or SIGTERM, once `watch` was called.
    public static var isRequested: Bool { requests > 0 }

    /// From now on the first SIGINT or SIGTERM only sets `isRequested`; the second one ends the program at once.
    public static func watch() {
        // A parent may have started the program with these signals blocked.
        var both = sigset_t()
        sigemptyset(&both)
        for number in [SIGINT, SIGTERM] { sigaddset(&both, number) }
        pthread_sigmask(SIG_UNBLOCK, &both, nil)
        for number in [SIGINT, SIGTERM] {
            signal(number) { _ in
                Interruption.requests += 1
                for both in [SIGINT, SIGTERM] { signal(both, SIG_DFL) }
            }
        }
    }
}
