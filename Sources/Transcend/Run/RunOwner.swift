import Foundation

/// The process that holds a run's lock, determined without touching the lock.
struct RunOwner: Equatable {
    /// The process ID.
    let process: Int32
    /// Its start time, in system ticks since boot, since process IDs are reused.
    private let start: UInt64

    /// Finds the process that is named in a run's `lock` and has that file open; nil if there is none on this machine.
    init?(of folder: String) {
        let path = folder + "/lock"
        let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        guard let process = text.split(whereSeparator: { !$0.isNumber }).first.flatMap({ Int32($0) }),
            let start = Self.start(of: process), Self.hasOpen(path, process: process)
        else { return nil }
        (self.process, self.start) = (process, start)
    }

    /// Whether the process still exists, with or without the lock.
    var isAlive: Bool { Self.start(of: process) == start }

    private static func start(of process: Int32) -> UInt64? {
        let text = (try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)) ?? ""
        // The name in parentheses may contain anything; after it come the state (3rd field) and the start (22nd).
        let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ").dropFirst()
        guard fields.count > 19, fields.first != "Z" else { return nil }
        return UInt64(fields[fields.startIndex + 19])
    }

    /// Whether a process has a file open; also true if another user's process cannot be inspected.
    private static func hasOpen(_ path: String, process: Int32) -> Bool {
        var lock = stat()
        guard stat(path, &lock) == 0 else { return false }
        let folder = "/proc/\(process)/fd"
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else { return true }
        return names.contains { name in
            var file = stat()
            return stat(folder + "/" + name, &file) == 0 && file.st_dev == lock.st_dev && file.st_ino == lock.st_ino
        }
    }
}
