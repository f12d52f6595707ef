import Foundation
import TestSupport
import Testing

@Suite struct StartTests {
    /// The program starts itself a second time with settings for libgomp and glibc, and only those of which the user says
    /// nothing. One that looped would not end.
    @Test(arguments: [
        ([:], ["GOMP_SPINCOUNT=10000", "GLIBC_TUNABLES=glibc.malloc.hugetlb=1"]),
        (["GOMP_SPINCOUNT": "5"], ["GOMP_SPINCOUNT=5", "GLIBC_TUNABLES=glibc.malloc.hugetlb=1"]),
        (
            ["OMP_WAIT_POLICY": "passive", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"],
            ["OMP_WAIT_POLICY=passive", "GLIBC_TUNABLES=glibc.malloc.hugetlb=0"]
        ),
    ])
    func settingsOfLibrariesAreOursUnlessTheUserHasOthers(given: [String: String], used: [String]) throws {
        try withTemporaryFolder { folder in
            var environment = ProcessInfo.processInfo.environment
            for name in ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "GLIBC_TUNABLES"] { environment[name] = given[name] }
            let process = try program(["doctor"], in: folder)
            process.environment = environment
            try process.run()
            process.waitUntilExit()
            #expect(process.terminationStatus == 0)
            let lines = try String(contentsOfFile: folder + "/.stdout", encoding: .utf8).split(separator: "\n")
            let line = try #require(lines.first { $0.hasPrefix("settings of libraries") })
            #expect(line.split(separator: " ").dropFirst(3).map(String.init) == used)
        }
    }
}
