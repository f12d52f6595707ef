import Foundation

/// The process's standard error, for progress and errors.
public enum StandardError {
    /// Writes as much of the text as possible.
    public static func write(_ text: String) { writeText(text, to: STDERR_FILENO) }
}

/// Writes as much as possible: a closed pipe or a full disk is no reason to stop the work for the sake of progress
/// output.
public func writeText(_ text: String, to descriptor: Int32) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return }
        rest = rest.dropFirst(count)
    }
}
