import Formats
import Foundation
import TestSupport
import Testing
import Transcend

/// Calls `body` with the path of a metrics file in a new folder, in which nothing else may be left behind.
private func withMetricsFile(_ content: String? = nil, _ body: (String) throws -> Void) throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/metrics.jsonl"
    if let content { try folder.file("metrics.jsonl", content.utf8) }
    try body(path)
    #expect(try folder.names.allSatisfy { $0 == "metrics.jsonl" })
}

private func text(_ path: String) throws -> String {
    try String(contentsOfFile: path, encoding: .utf8)
}

private let threeSteps = """
    {"step":1,"stage":"align","loss":0.5}
    {"step":2,"stage":"align","loss":0.25}
    {"step":3,"stage":"align","loss":0.125}

    """

@Suite struct MetricsLogTests {
    @Test func aLineHasStepStageAndTheValuesInTheirOrder() throws {
        try withMetricsFile { path in
            let log = try MetricsLog(path: path)
            try log.append(step: 12, stage: "align", values: [("loss", 0.1), ("align", 1e-7), ("a\"b", 3)])
            #expect(try text(path) == #"{"step":12,"stage":"align","loss":0.1,"align":1e-07,"a\"b":3.0}"# + "\n")
        }
    }

    @Test func valuesReadBackAsTheSameBits() throws {
        let values = [
            0.1, 1.0 / 3, Double.leastNonzeroMagnitude, Double.greatestFiniteMagnitude, -0.0, 1e23,
            Double(Float(0.412)), .infinity, -.infinity,
        ]
        try withMetricsFile { path in
            let log = try MetricsLog(path: path)
            try log.append(
                step: 7, stage: "selfguided", values: values.enumerated().map { ("v\($0)", $1) } + [("v", .nan)])
            let row = try #require(try MetricsLog.read(path: path).first)
            #expect(row.step == 7 && row.stage == "selfguided" && row.values.count == values.count + 1)
            for (index, value) in values.enumerated() {
                #expect(row.values["v\(index)"]?.bitPattern == value.bitPattern)
            }
            #expect(row.values["v"]?.isNaN == true)
        }
    }

    @Test func anOpenedFileIsContinued() throws {
        try withMetricsFile(threeSteps) { path in
            try MetricsLog(path: path).append(step: 4, stage: "align", values: [])
            #expect(try MetricsLog.read(path: path).map(\.step) == [1, 2, 3, 4])
        }
    }

    @Test func linesOfSeveralWritersAreNotMixed() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/metrics.jsonl"
        await withTaskGroup(of: Void.self) { group in
            for writer in 0..<4 {
                group.addTask {
                    guard let log = try? MetricsLog(path: path) else { return }
                    let values = (0..<40).map { (name: "value\($0)", value: Double(writer) + 0.1) }
                    for step in 0..<200 { try? log.append(step: step, stage: "w\(writer)", values: values) }
                }
            }
        }
        let rows = try withExtendedLifetime(folder) { try MetricsLog.read(path: path) }
        #expect(rows.count == 800 && rows.allSatisfy { Set($0.values.values).count == 1 })
    }

    @Test func aLineThatACrashCutOffIsDroppedBeforeTheNextIsWritten() throws {
        try withMetricsFile(threeSteps + #"{"step":4,"sta"#) { path in
            #expect(try MetricsLog.read(path: path).map(\.step) == [1, 2, 3])
            try MetricsLog(path: path).append(step: 4, stage: "align", values: [("loss", 1)])
            #expect(try text(path) == threeSteps + #"{"step":4,"stage":"align","loss":1.0}"# + "\n")
        }
    }

    @Test func aDamagedLineIsNamed() throws {
        for damage in ["{}", "\0\0", #"{"step":2}"#, #"{"step":2,"stage":"align","loss":"low"}"#, "[1]", ""] {
            try withMetricsFile(#"{"step":1,"stage":"align"}"# + "\n" + damage + "\n") { path in
                let error = #expect(throws: FileError.self) { try MetricsLog.read(path: path) }
                #expect(
                    error?.description == "\(path): line 2 is not a row of metrics; remove this line to go on")
            }
        }
    }

    @Test func aFolderThatIsMissingIsNamed() {
        let error = #expect(throws: FileError.self) { try MetricsLog(path: "/nonexistent/metrics.jsonl") }
        #expect(error?.path == "/nonexistent/metrics.jsonl")
    }

    @Test func aFullDiskIsReported() throws {
        let log = try MetricsLog(path: "/dev/full")
        let error = #expect(throws: FileError.self) { try log.append(step: 1, stage: "align", values: []) }
        #expect(error?.problem == "cannot be written: no space left on device")
    }
}

@Suite struct MetricsCutBackTests {
    @Test(arguments: [(0, 0), (1, 1), (2, 2), (3, 3), (100, 3)])
    func rowsUpToTheStepStayAsTheyWere(step: Int, count: Int) throws {
        try withMetricsFile(threeSteps) { path in
            try MetricsLog.cutBack(path: path, toStep: step)
            let lines = threeSteps.split(separator: "\n").prefix(count)
            #expect(try text(path) == lines.map { $0 + "\n" }.joined())
        }
    }

    @Test func whatIsTornOrUnreadableGoesToo() throws {
        try withMetricsFile("\0\0\0\n" + threeSteps + #"{"step":1,"stage":"align"}"#) { path in
            try MetricsLog.cutBack(path: path, toStep: 3)
            #expect(try text(path) == threeSteps)
        }
    }

    @Test func aFileWithNothingToTakeBackIsNotTouched() throws {
        try withMetricsFile(threeSteps) { path in
            let before = try FileManager.default.attributesOfItem(atPath: path)[.systemFileNumber] as? UInt64
            try MetricsLog.cutBack(path: path, toStep: 3)
            let after = try FileManager.default.attributesOfItem(atPath: path)[.systemFileNumber] as? UInt64
            #expect(before != nil && before == after)
        }
    }

    @Test func withoutAFileThereIsNothingToTakeBack() throws {
        try withMetricsFile { path in
            try MetricsLog.cutBack(path: path, toStep: 3)
            #expect(!FileManager.default.fileExists(atPath: path))
        }
    }

    @Test func aRunThatGoesOnAfterCuttingBackLogsWhatAnUninterruptedOneLogs() throws {
        func log(_ steps: ClosedRange<Int>, _ path: String) throws {
            let log = try MetricsLog(path: path)
            for step in steps { try log.append(step: step, stage: "align", values: [("loss", 1 / Double(step))]) }
        }
        try withMetricsFile { whole in
            try log(1...20, whole)
            try withMetricsFile { path in
                try log(1...13, path)
                try MetricsLog.cutBack(path: path, toStep: 10)
                try log(11...20, path)
                #expect(try text(path) == text(whole))
            }
        }
    }
}
