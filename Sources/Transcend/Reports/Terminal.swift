import Formats
import Foundation

/// The terminal, if any, behind one of the process's outputs.
public struct Terminal: Sendable {
    private let descriptor: Int32

    /// The standard output.
    public static let output = Terminal(descriptor: STDOUT_FILENO)
    /// The standard error.
    public static let errors = Terminal(descriptor: STDERR_FILENO)

    /// Whether lines can be rewritten, which is not the case for a file, a pipe or a terminal with `TERM=dumb`.
    public var canRewrite: Bool {
        isatty(descriptor) == 1 && ProcessInfo.processInfo.environment["TERM"] != "dumb"
    }

    /// Whether to use colours: on a terminal, unless `NO_COLOR` is set (no-color.org).
    public var hasColors: Bool {
        canRewrite && (ProcessInfo.processInfo.environment["NO_COLOR"] ?? "").isEmpty
    }

    /// The current numbers of columns and rows; 80 and 24 if not known.
    public var size: (columns: Int, rows: Int) {
        var size = winsize()
        let isKnown = ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 && size.ws_row > 0
        return isKnown ? (Int(size.ws_col), Int(size.ws_row)) : (80, 24)
    }

    /// Writes as much as possible: progress that nobody reads is no reason to stop the work.
    public func write(_ text: String) { writeText(text, to: descriptor) }
}
