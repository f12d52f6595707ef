import Foundation

/// A folder that is removed with its contents when the last reference to it goes.
///
/// It lies in memory where the system has a place for that, since the tests write thousands of files.
public final class TemporaryFolder {
    /// Its absolute path.
    public let path: String

    /// Makes a new, empty folder, or throws what the system says.
    public init() throws {
        let memory = "/dev/shm/"
        let place = FileManager.default.isWritableFile(atPath: memory) ? memory : NSTemporaryDirectory()
        path = place + "transcend-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// The names in it, sorted.
    public var names: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() }
    }

    /// Writes the bytes as a file and gives its path; the folders above it are made where they are missing.
    @discardableResult
    public func file(_ name: String, _ bytes: some Sequence<UInt8>) throws -> String {
        let place = URL(fileURLWithPath: path + "/" + name)
        let folder = place.deletingLastPathComponent()
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Data(bytes).write(to: place)
        return place.path
    }
}

/// Calls `body` with the path of a folder that exists while it runs.
public func withTemporaryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
    let folder = try TemporaryFolder()
    return try withExtendedLifetime(folder) { try body(folder.path) }
}
