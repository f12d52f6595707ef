import Data
import Foundation

/// Keeps the picture of a run's curves up to date while the run goes on.
///
/// The picture is redrawn at most every 10 seconds, and seldom enough that it takes at most a hundredth of the time.
public struct CurveWriter {
    /// The path of the picture, a PNG file.
    public let path: String
    private let title: String
    private let steps: Int
    private var tail: MetricsTail
    private let clock: () -> Double
    private var due: Double

    /// Creates a writer of the picture at `path` with the curves of a metrics file, for a stage called `title` with
    /// `steps` steps. `clock` returns seconds and is monotonic.
    public init(
        path: String, metrics: String, title: String, steps: Int,
        clock: @escaping () -> Double = ProgressLine.monotonicSeconds
    ) {
        (self.path, self.title, self.steps, self.clock) = (path, title, steps, clock)
        tail = MetricsTail(path: metrics)
        due = clock() + Self.leastSeconds
    }

    /// Draws the picture if it is due, and always if this is the `last` call. Throws a `FileError`.
    public mutating func update(isLast: Bool) throws {
        let begin = clock()
        guard isLast || begin >= due else { return }
        try tail.update()
        let done = tail.rows.last.map { "step \($0.step + 1) of \(steps)" } ?? ""
        try ImageFile.writePNG(lossCurves(tail.rows, title: title, subtitle: done), to: path)
        let end = clock()
        due = end + max(Self.leastSeconds, 100 * (end - begin))
    }

    private static let leastSeconds = 10.0
}
