import Foundation

/// A disk in memory that is soon full; only root can have one.
final class SmallDisk {
    private let path: String

    init?(at path: String, megabytes: Int) {
        self.path = path
        guard geteuid() == 0, mkdir(path, 0o755) == 0,
            mount("tmpfs", path, "tmpfs", 0, "size=\(megabytes)m") == 0
        else { return nil }
    }

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
