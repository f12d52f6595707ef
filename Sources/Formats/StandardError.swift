import Foundation

/// The process's standard error, for progress and errors.
public enum StandardError {
    /// Writes what can be written.
    public static func write(_ text: String) { writeText(text, to: STDERR_FILENO) }
}

/// Writes what can be written: progress that nobody reads or a full disk is no reason to stop the work.
public func writeText(_ text: String, to descriptor: Int32) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return }
        rest = rest.dropFirst(count)
    }
}
