import Formats
import Foundation
import TestSupport
import Testing

func contents(_ path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))) }

/// Every proper beginning of the fixture gives a `FileError`; every change of one byte gives an error or a value.
func checkDamage(of name: String, _ read: (String) throws -> Void) throws {
    let folder = try TemporaryFolder()
    let whole = try contents(fixture(name))
    for count in 0..<whole.count {
        let path = try folder.file("short", whole.prefix(count))
        #expect(throws: FileError.self, "\(name) cut to \(count) bytes") { try read(path) }
    }
    for position in whole.indices {
        for change: UInt8 in [0xFF, 0x01, 0x80] {
            var bytes = whole
            bytes[position] ^= change
            try? read(try folder.file("changed", bytes))
        }
    }
}
