import Foundation
import TestSupport
import Testing
import Transcend

/// The lines of a metrics file with a value for each step.
private func lines(_ steps: Range<Int>) -> String {
    steps.map {
        #"{"step":\#($0),"stage":"align","denoisingLoss":\#(1 / Double($0 + 1)),"imagesPerSecond":50.0}"# + "\n"
    }
    .joined()
}

private func append(_ text: String, to path: String) throws {
    let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    try file.seekToEnd()
    try file.write(contentsOf: Data(text.utf8))
}

@Suite struct SparklineTests {
    @Test(arguments: [
        ([], 10, ""), ([1], 0, ""), ([3], 5, "▄"), ([2, 2, 2], 5, "▄▄▄"), ([0, 1, 2, 3, 4, 5, 6, 7], 8, "▁▂▃▄▅▆▇█"),
        ([7, 7, 0, 0], 2, "█▁"), ([0, .nan, 7], 3, "▁ █"), ([.nan, .infinity], 5, "  "),
    ])
    func lowIsLowAndHighIsHigh(values: [Double], width: Int, line: String) {
        #expect(sparkline(values, width: width) == line)
    }

    @Test func aScaleCanBeLogarithmicOrBeginAtZero() {
        // Equal factors are equal steps; 6 is at 8 * 6/7 of the height of 7.
        #expect(sparkline([1, 10, 100, 1000], width: 4, logarithmic: true) == "▁▃▆█")
        #expect(sparkline([0, -1, 1], width: 3, logarithmic: true) == "  ▄")
        #expect(sparkline([6, 7], width: 2, fromZero: true) == "▇█")
    }
}

@Suite struct MetricsTailTests {
    @Test func onlyCompleteLinesAreReadAndEachOnce() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/metrics.jsonl"
        var tail = MetricsTail(path: path)
        try tail.update()
        #expect(tail.rows.isEmpty)
        try folder.file("metrics.jsonl", Array((lines(0..<3) + #"{"step":3,"sta"#).utf8))
        try tail.update()
        #expect(tail.rows.map(\.step) == [0, 1, 2])
        try append(#"ge":"align","denoisingLoss":0.5}"# + "\nnot a row\n" + lines(4..<6), to: path)
        try tail.update()
        #expect(tail.rows.map(\.step) == [0, 1, 2, 3, 4, 5] && tail.rows[3].values == ["denoisingLoss": 0.5])
    }

    @Test func aRunThatWasTakenBackIsFollowed() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("metrics.jsonl", Array(lines(0..<9).utf8))
        var tail = MetricsTail(path: path)
        try tail.update()
        // Replaced by a shorter file, as `cutBack` does, then cut in place and grown beyond its old length.
        try MetricsLog.cutBack(path: path, toStep: 4)
        try tail.update()
        #expect(tail.rows.map(\.step) == Array(0...4))
        try append(lines(3..<20), to: path)
        try tail.update()
        #expect(tail.rows.map(\.step) == Array(0..<20))
    }
}

@Suite struct CurveWriterTests {
    @Test func thePictureIsRenewedEveryTenSecondsAndAtTheEnd() throws {
        let folder = try TemporaryFolder()
        let metrics = try folder.file("metrics.jsonl", Array(lines(0..<3).utf8))
        let picture = folder.path + "/losses.png"
        let now = Now()
        var writer = CurveWriter(path: picture, metrics: metrics, title: "align", steps: 9, clock: { now.seconds })
        func isDrawn(after seconds: Double, isLast: Bool = false) throws -> Bool {
            try? FileManager.default.removeItem(atPath: picture)
            now.seconds += seconds
            try writer.update(isLast: isLast)
            return FileManager.default.fileExists(atPath: picture)
        }
        #expect(
            try [0, 9.9, 0.2, 5, 4.9, 0.2].map { try isDrawn(after: $0) } == [false, false, true, false, false, true])
        #expect(try isDrawn(after: 0, isLast: true))
    }

    private final class Now { var seconds = 100.0 }
}

@Suite struct WatchViewTests {
    private var snapshot: RunSnapshot {
        var s = RunSnapshot(path: "/home/me/runs/demo", activity: .running(process: 4242), stage: "align")
        (s.stageNumber, s.stageCount, s.step, s.steps, s.batch) = (1, 2, 1000, 1600, 32)
        // A loss that is halved every 10 rows, whose logarithm falls evenly.
        s.rows = (0..<76).map { row in
            MetricsRow(
                step: 10 * row, stage: "align",
                values: [
                    "denoisingLoss": exp2(-Double(row) / 10), "alignmentLoss": 0.25, "imagesPerSecond": 320,
                ])
        }
        s.secondsSinceRow = 2
        s.checkpoint = ("align/checkpoints/step-0000800", 61)
        return s
    }

    @Test func numbersCoursesAndTimeLeftAreShown() {
        let lines = WatchView(snapshot, width: 60, hasColors: false).lines
        #expect(
            lines == [
                "/home/me/runs/demo", "running, process 4242, last numbers 0:02 ago",
                "align 1/2  ━━━━━━━━━━──────  1000/1600  320 img/s  1:00 left", "",
                "loss        0.00552   █████▇▇▇▇▇▆▆▆▆▅▅▅▅▅▄▄▄▄▄▃▃▃▃▂▂▂▂▂▁▁▁▁▁",
                "align       0.25      " + String(repeating: "▄", count: 38),
                "img/s       320       " + String(repeating: "█", count: 38), "",
                "checkpoint  align/checkpoints/step-0000800, 1:01 ago", "samples     none yet",
            ])
    }

    @Test func noLineIsWiderThanItsTerminal() {
        for width in 0...130 {
            for line in WatchView(snapshot, width: width, hasColors: false).lines { #expect(line.count <= width) }
        }
        let narrow = WatchView(snapshot, width: 39, hasColors: false).lines
        #expect(narrow[1] == "running, process 4242")
        #expect(narrow[2] == "align 1/2  1000/1600  1:00 left")
        #expect(narrow[4].hasPrefix("loss        0.00552   █") && narrow[4].hasSuffix("▁") && narrow[4].count == 39)
        #expect(narrow.contains("checkpoint  step-0000800"))
    }

    @Test func coloursAreLeftOutWhereTheyAreNotWanted() {
        #expect(WatchView(snapshot, width: 60, hasColors: true).lines.joined().contains("\u{1B}[36m█"))
        #expect(!WatchView(snapshot, width: 60, hasColors: false).lines.joined().contains("\u{1B}"))
    }

    @Test func aRunThatHasJustBegunHasNoNumbersYet() {
        let empty = RunSnapshot(path: "run", activity: .stopped, stage: "plain")
        let lines = WatchView(empty, width: nil, hasColors: false).lines
        #expect(lines.contains("no numbers yet") && lines.contains("not running here; the same command continues it"))
    }
}

@Suite struct RunWatchTests {
    private let configuration = Array(#"{"batch":10,"method":{"name":"align"},"steps":6}"#.utf8)

    @Test func aFolderThatIsNoRunIsNamed() throws {
        let folder = try TemporaryFolder()
        let error = #expect(throws: (any Error).self) { try RunWatch(path: folder.path) }
        #expect(
            error.map { "\($0)" }
                == "\(folder.path): is not a run; give the folder of a run or of a pipeline (its --out)")
    }

    @Test func theLockTellsWhetherAProcessIsAtIt() throws {
        let folder = try TemporaryFolder()
        try folder.file("align/config.json", configuration)
        try folder.file("align/metrics.jsonl", Array((lines(0..<4) + "{\"st").utf8))
        try folder.file("align/checkpoints/step-0000003/state.json", [])
        var watch = try RunWatch(path: folder.path)
        #expect(try watch.look().activity == .stopped)

        var run: RunDirectory? = try RunDirectory(folder.path + "/align")
        let snapshot = try watch.look()
        #expect(snapshot.activity == .running(process: getpid()))
        #expect(snapshot.stage == "align" && snapshot.stageNumber == 1 && snapshot.stageCount == 2)
        // Two steps of ten images are left, at fifty images a second.
        #expect(snapshot.step == 4 && snapshot.steps == 6 && snapshot.secondsLeft == 0.4)
        #expect(snapshot.checkpoint?.path == "align/checkpoints/step-0000003")

        // Between the stages of a pipeline this process holds no lock, but is still there; who looks anew can't know.
        run = nil
        _ = run
        #expect(try watch.look().activity == .running(process: getpid()))
        var later = try RunWatch(path: folder.path)
        #expect(try later.look().activity == .stopped)
    }

    @Test func aRunWhoseLastStepIsDoneIsFinished() throws {
        let folder = try TemporaryFolder()
        try folder.file("config.json", configuration)
        try folder.file("metrics.jsonl", Array(lines(0..<6).utf8))
        var watch = try RunWatch(path: folder.path)
        #expect(try watch.look().activity == .finished)
    }
}
