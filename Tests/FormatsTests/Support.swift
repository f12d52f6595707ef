import Formats
import Foundation
import Testing

/// A folder that is removed with its contents when the test is over.
///
/// It lies in memory where the system has a place for that, since the tests write thousands of files.
final class TemporaryFolder {
    let path: String

    init() throws {
        let memory = "/dev/shm/"
        let place = FileManager.default.isWritableFile(atPath: memory) ? memory : NSTemporaryDirectory()
        path = place + "transcend-formats-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var names: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() }
    }

    /// Writes the bytes as a file and gives its path.
    func file(_ name: String, _ bytes: some Sequence<UInt8>) throws -> String {
        let path = path + "/" + name
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        return path
    }
}

/// The path of a file that `Fixtures/make.py` made.
func fixture(_ name: String) -> String {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures/\(name)").path
}

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
