import Synchronization
import Testing
import Transcend

private let sample = ProgressState(
    stage: "align", step: 1200, total: 2300, values: [("loss", 0.412), ("align", 0.83)], imagesPerSecond: 210.4,
    secondsLeft: 42)

@Suite struct ProgressStateTests {
    @Test func aLineFillsTheWidthWithItsBar() {
        let line = sample.line(width: 80)
        #expect(line == "align  ━━━━━━━━────────  1200/2300  loss 0.412  align 0.83  210 img/s  0:42 left")
        #expect(line.count == 80)
    }

    @Test func theBarGrowsByHalfAColumn() {
        func bar(_ step: Int) -> String {
            String(ProgressState(stage: "s", step: step, total: 60).line(width: 100).split(separator: "  ")[1])
        }
        // 30 columns are 60 halves.
        #expect(bar(0) == String(repeating: "─", count: 30))
        #expect(bar(1) == "╸" + String(repeating: "─", count: 29))
        #expect(bar(2) == "━" + String(repeating: "─", count: 29))
        #expect(bar(60) == String(repeating: "━", count: 30))
        #expect(bar(99) == bar(60))
    }

    @Test(arguments: [
        (71, "align  1200/2300  loss 0.412  align 0.83  210 img/s  0:42 left"),
        (62, "align  1200/2300  loss 0.412  align 0.83  210 img/s  0:42 left"),
        (61, "align  1200/2300  loss 0.412  210 img/s  0:42 left"),
        (49, "align  1200/2300  210 img/s  0:42 left"),
        (37, "align  1200/2300  0:42 left"),
        (10, "align  120"), (0, ""),
    ])
    func whereRoomIsShortTheLeastImportantGoesFirst(width: Int, line: String) {
        #expect(sample.line(width: width) == line)
    }

    @Test func noLineIsWiderThanItsTerminal() {
        for width in 0...200 { #expect(sample.line(width: width).count <= width) }
    }

    @Test func aPlainLineHasTheShareInsteadOfTheBar() {
        #expect(sample.plainLine() == "align  1200/2300 (52%)  loss 0.412  align 0.83  210 img/s  0:42 left")
    }

    @Test func aStageOfUnknownLengthHasNeitherBarNorShare() {
        let state = ProgressState(stage: "verify", step: 3, total: 0, values: [("error", .nan)])
        #expect(state.line(width: 80) == "verify  3  error nan")
        #expect(state.plainLine() == "verify  3  error nan")
    }

    @Test func aSlowSpeedKeepsTwoDigits() {
        var state = ProgressState(stage: "s", step: 1, total: 2)
        for (speed, text) in [(0.42, "0.42 img/s"), (3.21, "3.2 img/s"), (9.97, "10 img/s"), (1234.5, "1234 img/s")] {
            state.imagesPerSecond = speed
            #expect(state.plainLine().hasSuffix(text))
        }
    }
}

@Suite struct RateMeterTests {
    @Test func aSteadySpeedIsKnownFromTheSecondObservation() throws {
        var meter = RateMeter()
        meter.record(step: 100, seconds: 5)
        #expect(meter.stepsPerSecond == nil)
        for second in 1...50 {
            meter.record(step: 100 + 4 * second, seconds: 5 + Double(second))
            #expect(abs(try #require(meter.stepsPerSecond) - 4) < 1e-9)
        }
    }

    @Test func aChangeOfSpeedIsFollowedWithinAMinute() throws {
        var meter = RateMeter()
        for second in 0...100 { meter.record(step: second, seconds: Double(second)) }
        for second in 1...60 { meter.record(step: 100 + 10 * second, seconds: 100 + Double(second)) }
        // exp(-60 / 20) is 5 %: the old speed of 1 still takes that share of the way to 10.
        #expect(try #require(meter.stepsPerSecond) > 9.4)
    }

    @Test func aClockThatStandsStillDoesNoHarm() {
        var meter = RateMeter()
        for step in 0..<5 { meter.record(step: step, seconds: 1) }
        #expect(meter.stepsPerSecond == nil)
        meter.record(step: 5, seconds: 2)
        #expect(meter.stepsPerSecond == 5)
    }
}

/// A terminal, or a file if `width` is nil, and a clock that is set by hand.
private final class Recorder: Sendable {
    let text = Mutex("")
    let now = Mutex(0.0)
    let width: Int?

    init(width: Int?) { self.width = width }

    func line(total: Int, imagesPerStep: Int? = nil) -> ProgressLine {
        ProgressLine(
            stage: "align", total: total, imagesPerStep: imagesPerStep, plainSeconds: 30,
            output: ProgressLine.Output(
                width: { [self] in width }, write: { [self] new in text.withLock { $0 += new } }),
            clock: { [self] in now.withLock { $0 } })
    }

    var written: String { text.withLock { $0 } }
    func wait(_ seconds: Double) { now.withLock { $0 += seconds } }
}

@Suite struct ProgressLineTests {
    @Test func onATerminalOneLineIsRewrittenTenTimesASecondAtMost() {
        let recorder = Recorder(width: 60)
        let progress = recorder.line(total: 1000)
        for step in 1...101 {
            progress.update(step: step)
            recorder.wait(0.01)
        }
        progress.finish()
        // One second: the first line, ten more, and the last state.
        let lines = recorder.written.split(separator: "\r\u{1B}[K")
        #expect((10...12).contains(lines.count))
        #expect(recorder.written.hasPrefix("\r\u{1B}[Kalign  ") && recorder.written.hasSuffix("\n"))
        #expect(recorder.written.filter { $0 == "\n" }.count == 1)
        #expect(lines.last?.contains("101/1000") == true)
    }

    @Test func elsewhereAPlainLineIsWrittenAtFirstNowAndThenAndAtLast() {
        let recorder = Recorder(width: nil)
        let progress = recorder.line(total: 100)
        for step in 1...100 {
            progress.update(step: step, values: [("loss", 0.5)])
            recorder.wait(1)
        }
        progress.finish()
        let steps = recorder.written.split(separator: "\n").map { $0.split(separator: "  ")[1] }
        #expect(steps == ["1/100 (1%)", "31/100 (31%)", "61/100 (61%)", "91/100 (91%)", "100/100 (100%)"])
        #expect(!recorder.written.contains("\u{1B}") && !recorder.written.contains("\r"))
    }

    @Test func valuesAreOnlyAskedForWhenALineIsDue() {
        let recorder = Recorder(width: 80)
        let progress = recorder.line(total: 100)
        var asked = 0
        func values() -> [(name: String, value: Double)] {
            asked += 1
            return [("loss", 1)]
        }
        for step in 1...50 { progress.update(step: step, values: values()) }
        #expect(asked == 1)
    }

    @Test func speedAndTimeLeftComeFromTheClock() {
        let recorder = Recorder(width: nil)
        let progress = recorder.line(total: 100, imagesPerStep: 64)
        progress.update(step: 10)
        recorder.wait(40)
        progress.update(step: 20)
        // Ten steps of 64 images in 40 seconds, and 80 steps to go.
        #expect(recorder.written.hasSuffix("align  20/100 (20%)  16 img/s  5:20 left\n"))
    }

    @Test func aNoteStandsAboveTheLine() {
        let recorder = Recorder(width: 40)
        let progress = recorder.line(total: 4)
        progress.update(step: 1)
        let line = recorder.written
        progress.note("checkpoint saved")
        #expect(recorder.written == line + "\r\u{1B}[Kcheckpoint saved\n" + line)
        progress.finish()
        #expect(recorder.written.hasSuffix(line + "\n"))
    }

    @Test func afterTheEndNothingIsWritten() {
        let recorder = Recorder(width: nil)
        let progress = recorder.line(total: 4)
        progress.update(step: 4)
        progress.finish()
        let written = recorder.written
        progress.finish()
        recorder.wait(100)
        progress.update(step: 5)
        #expect(recorder.written == written && written.filter { $0 == "\n" }.count == 1)
    }
}
