import Foundation
import TestSupport
import Testing

@Suite struct StartTests {
    /// The program starts itself a second time with a shorter spinning of libgomp's threads, and only if the user says
    /// nothing of it. One that looped would not end.
    @Test(arguments: [
        ([:], "GOMP_SPINCOUNT=10000"),
        (["GOMP_SPINCOUNT": "5"], "GOMP_SPINCOUNT=5"),
        (["OMP_WAIT_POLICY": "passive"], "OMP_WAIT_POLICY=passive"),
    ])
    func threadsSleepEarlyUnlessTheUserSaysOtherwise(given: [String: String], used: String) throws {
        try withTemporaryFolder { folder in
            var environment = ProcessInfo.processInfo.environment
            for name in ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"] { environment[name] = given[name] }
            let process = try program(["doctor"], in: folder)
            process.environment = environment
            try process.run()
            process.waitUntilExit()
            #expect(process.terminationStatus == 0)
            let lines = try String(contentsOfFile: folder + "/.stdout", encoding: .utf8).split(separator: "\n")
            let line = try #require(lines.first { $0.hasPrefix("waiting of threads") })
            #expect(line.split(separator: " ").dropFirst(3) == [Substring(used)])
        }
    }
}
