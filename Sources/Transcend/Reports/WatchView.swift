import Formats

/// The lines that show a watched run: numbers, their curves, and the newest files.
public struct WatchView: Sendable {
    /// The snapshot that is shown.
    public var snapshot: RunSnapshot
    /// The terminal's columns, which no line exceeds; nil if lines may have any length.
    public var width: Int?
    /// Whether to colour parts with terminal escape sequences.
    public var hasColors: Bool

    /// Creates a view of a run.
    public init(_ snapshot: RunSnapshot, width: Int?, hasColors: Bool) {
        (self.snapshot, self.width, self.hasColors) = (snapshot, width, hasColors)
    }

    /// The lines, without newlines.
    public var lines: [String] {
        let s = snapshot
        let stage = s.stageCount > 1 ? "\(s.stage) \(s.stageNumber)/\(s.stageCount)" : s.stage
        let progress = ProgressState(
            stage: stage, step: s.step, total: s.steps, imagesPerSecond: isRunning ? s.newest("imagesPerSecond") : nil,
            secondsLeft: s.secondsLeft)
        let head = [
            clip(s.path.visible, .bold), activity, clip(progress.line(width: width ?? Self.usualWidth), .plain), "",
        ]
        let curves = Self.curves.compactMap(line(of:))
        return head + (curves.isEmpty ? [clip("no numbers yet", .faint)] : curves) + [""] + files
    }

    private static let usualWidth = 80

    private var isRunning: Bool {
        if case .running = snapshot.activity { true } else { false }
    }

    private var activity: String {
        switch snapshot.activity {
        case .running(let process):
            let short = "running, process \(process)"
            let long = snapshot.secondsSinceRow.map { short + ", last numbers \(readableDuration($0)) ago" } ?? short
            return clip(long.count <= width ?? .max ? long : short, .good)
        case .finished: return clip("finished", .good)
        case .stopped: return clip("not running here; the same command continues it", .bad)
        }
    }

    // MARK: - Numbers

    private struct Row: Sendable {
        let name: String
        let key: String
        var logarithmic = false
        var fromZero = false
    }

    private static let curves = [
        Row(name: "loss", key: "denoisingLoss", logarithmic: true),
        Row(name: "align", key: "alignmentLoss", logarithmic: true),
        Row(name: "grad norm", key: "gradientNorm", logarithmic: true),
        Row(name: "img/s", key: "imagesPerSecond", fromZero: true),
        Row(name: "rate", key: "learningRate", fromZero: true),
    ]

    /// The name, newest value and curve of a metric; nil if it has no value.
    private func line(of row: Row) -> String? {
        guard let newest = snapshot.newest(row.key) else { return nil }
        let head = Self.padded(row.name, to: Self.nameWidth) + Self.padded(readableNumber(newest), to: 10)
        let room = (width ?? Self.usualWidth) - head.count
        guard room >= 4 else { return clip(head, .plain) }
        let values = snapshot.rows.compactMap { $0.values[row.key] }
        // A loss that is a negative cosine has no logarithm.
        let isLogarithmic = row.logarithmic && !values.contains { $0 < 0 }
        let course = sparkline(values, width: room, logarithmic: isLogarithmic, fromZero: row.fromZero)
        return head + styled(course, .curve)
    }

    // MARK: - Files

    private var files: [String] {
        [("checkpoint", snapshot.checkpoint), ("samples", snapshot.samples)].map { name, file in
            let head = Self.padded(name, to: Self.nameWidth)
            guard let file else { return clip(head + "none yet", .faint) }
            let age = ", \(readableDuration(file.seconds)) ago"
            let short = String(file.path.split(separator: "/").last ?? "")
            let choices = [file.path + age, file.path, short].map { head + $0.visible }
            return clip(choices.first { $0.count <= width ?? .max } ?? choices[2], .plain)
        }
    }

    // MARK: - Text

    private static let nameWidth = 12

    /// The codes of SGR.
    private enum Style: String {
        case plain = ""
        case bold = "1"
        case faint = "2"
        case good = "32"
        case bad = "33"
        case curve = "36"
    }

    private func styled(_ text: String, _ style: Style) -> String {
        hasColors && style != .plain && !text.isEmpty ? "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m" : text
    }

    private func clip(_ text: String, _ style: Style) -> String { styled(String(text.prefix(width ?? .max)), style) }

    private static func padded(_ text: String, to width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }
}
