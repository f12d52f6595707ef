import Formats
import Foundation

/// The file `metrics.jsonl` of a run: one JSON object per line, only ever appended to.
///
///     {"step":1200,"stage":"align","denoisingLoss":0.412,"imagesPerSecond":210.5}
///
/// Lines of several threads or processes are never interleaved. Numbers are the shortest that read back as the same
/// bits; NaN and infinities, which JSON lacks, are the strings `"nan"`, `"inf"` and `"-inf"`.
public final class MetricsLog: Sendable {
    /// The path of the file.
    public var path: String { file.path }
    private let file: AppendedFile

    /// Opens the file for appending, creating it if necessary; an incomplete line at its end, as left by a crash, is
    /// dropped first. Throws a `FileError`.
    public init(path: String) throws {
        try Self.dropTornLine(path: path)
        file = try AppendedFile(path: path)
    }

    /// Appends a line: `step`, `stage`, then the values in their order.
    ///
    /// Names are unique and are neither `step` nor `stage`. Throws a `FileError` if the line cannot be written, for
    /// example because the disk is full; then nothing of it stays in the file.
    public func append(step: Int, stage: String, values: [(name: String, value: Double)]) throws {
        let names = Set(values.map(\.name)).union(["step", "stage"])
        precondition(names.count == values.count + 2, "each metric has a name of its own, not 'step' nor 'stage'")
        var members = [JSONValue.Member("step", .int(Int64(step))), JSONValue.Member("stage", .string(stage))]
        for (name, value) in values {
            members.append(
                JSONValue.Member(name, value.isFinite ? .number(value) : .string(value.isNaN ? "nan" : "\(value)")))
        }
        try file.append(Array((JSONValue.object(members).text() + "\n").utf8))
    }

    /// Waits until all lines are on the disk, so that they are as durable as the checkpoint of their step.
    public func synchronize() throws { try file.synchronize() }
}
