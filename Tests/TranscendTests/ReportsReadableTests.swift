import Testing
import Transcend

@Suite struct ReadableTests {
    @Test(arguments: [
        (0, "0"), (999, "999"), (1000, "1.0 k"), (45_300, "45.3 k"), (999_949, "999.9 k"), (999_950, "1.0 M"),
        (675_129_632, "675.1 M"), (1_300_000_000, "1.3 G"), (-2500, "-2.5 k"), (.max, "9.2 E"), (.min, "-9.2 E"),
    ])
    func counts(count: Int, text: String) {
        #expect(readableCount(count) == text)
    }

    @Test(arguments: [(0, "0 B"), (999, "999 B"), (4200, "4.2 kB"), (1_300_000_000, "1.3 GB")])
    func bytes(count: Int, text: String) {
        #expect(readableBytes(count) == text)
    }

    @Test(arguments: [
        (830, "830 FLOP"), (999.6, "1.0 kFLOP"), (1.2e12, "1.2 TFLOP"), (3.44e15, "3.4 PFLOP"), (5e24, "5000.0 ZFLOP"),
        (.infinity, "inf FLOP"),
    ])
    func operations(count: Double, text: String) {
        #expect(readableFLOPs(count) == text)
    }

    @Test(arguments: [
        (0, "0:00"), (41.6, "0:42"), (59.7, "1:00"), (725, "12:05"), (11_229, "3:07:09"), (86_399.6, "1d 0h"),
        (187_200, "2d 4h"), (-3, "0:00"), (.infinity, "?"), (.nan, "?"),
    ])
    func durations(seconds: Double, text: String) {
        #expect(readableDuration(seconds) == text)
    }

    @Test(arguments: [
        (0, "0"), (0.412345, "0.412"), (0.83, "0.83"), (12.34, "12.3"), (999.4, "999"), (999.6, "1000"), (5123, "5123"),
        (99_999, "99999"), (1e5, "1e5"), (2e-5, "2e-5"), (-1.234e-8, "-1.23e-8"), (9.999e-6, "1e-5"), (.nan, "nan"),
        (-.infinity, "-inf"),
    ])
    func numbers(value: Double, text: String) {
        #expect(readableNumber(value) == text)
    }

    @Test(arguments: [
        (0, "image", "0 images"), (1, "image", "1 image"), (1, "class", "1 class"), (2, "class", "2 classes"),
    ])
    func things(count: Int, name: String, text: String) {
        #expect(counted(count, name) == text)
    }
}

@Suite struct TableTests {
    @Test func controlCharactersAreShownAndNotObeyed() {
        var table = Table(.text("name"), .number("n"))
        table.append("a\u{1B}[2J\r\nb\u{9B}é", "1")
        #expect(table.description.hasSuffix("\na\\x1b[2J\\x0d\\x0ab\\x9bé   1"))
    }

    @Test func namesAreAlignedToTheLeftAndNumbersToTheRight() {
        var table = Table(.text("layer"), .number("parameters"), .text("type"))
        table.append("x_embedder", "18.4 k", "bf16")
        table.append("t", "1.6 M", "f32")
        #expect(
            table.description == """
                layer        parameters   type
                ──────────────────────────────
                x_embedder       18.4 k   bf16
                t                 1.6 M   f32
                """)
    }

    @Test func withoutTitlesThereAreOnlyRows() {
        var table = Table(.text(""), .number(""))
        table.append("device", "cpu")
        table.append("threads", "16")
        #expect(table.description == "device    cpu\nthreads    16")
    }

    @Test func aTableWithoutRowsHasItsTitles() {
        #expect(Table(.text("a"), .text("bc")).description == "a   bc\n──────")
    }
}
