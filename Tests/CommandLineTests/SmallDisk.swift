import Foundation
import TestSupport
import Testing

/// A disk in memory that is soon full; only root can have one, and in some containers nobody.
final class SmallDisk {
    private let path: String

    /// Throws a `POSIXError` where there can be none.
    init(at path: String, megabytes: Int) throws {
        self.path = path
        guard mkdir(path, 0o755) == 0, mount("tmpfs", path, "tmpfs", 0, "size=\(megabytes)m") == 0 else {
            throw POSIXError(.init(rawValue: errno) ?? .EIO)
        }
    }

    /// Whether there can be one.
    static let isPossible = (try? withTemporaryFolder { _ = try SmallDisk(at: $0 + "/disk", megabytes: 1) }) != nil

    deinit { umount2(path, Int32(MNT_DETACH)) }
}

/// Keeps a disk full until the process has ended.
func fill(_ folder: String, while process: Process) throws {
    let path = folder + "/filler"
    let filler = open(path, O_WRONLY | O_CREAT, 0o644)
    let block = [UInt8](repeating: 1, count: 4096)
    while process.isRunning {
        while write(filler, block, block.count) > 0 {}
        usleep(300)
    }
    close(filler)
    try FileManager.default.removeItem(atPath: path)
}

extension Trait where Self == ConditionTrait {
    /// Leaves a test out, and says so, where there can be no small disk.
    static var onSmallDisk: Self { .enabled(if: SmallDisk.isPossible, "only root can have a small disk") }
}
