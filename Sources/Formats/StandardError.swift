import Foundation

/// The process's standard error, for progress and errors.
public enum StandardError {
    /// Writes what can be written: a log that nobody reads or a full disk is no reason to stop the work.
    public static func write(_ text: String) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}
