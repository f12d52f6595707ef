import Foundation
import TestSupport
import Testing

@Suite struct FuzzTests {
    /// The long form is `.build/release/Fuzz 100000`.
    @Test func damagedFilesOfEveryFormatEndInAValueOrAnError() throws {
        try withTemporaryFolder { folder in
            let ended = try transcend(["1000"], in: folder) {
                $0.executableURL = repository.appendingPathComponent(".build/release/Fuzz")
            }
            #expect(ended.status == 0, "\(ended.errors)\(ended.output)")
            #expect(ended.output.contains("yaml: 1000 inputs"))
        }
    }
}
