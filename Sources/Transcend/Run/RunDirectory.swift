import Formats
import Foundation

/// The folder of one training run; nothing else holds state.
///
/// `config.json`, `metrics.jsonl`, `losses.png`, `samples/`, `checkpoints/step-0001000/`. The same command continues a
/// run. One process at a time: a lock names the owner.
public final class RunDirectory {
    public let path: String
    private var lock: Int32 = -1

    public var configurationPath: String { path + "/config.json" }
    public var metricsPath: String { path + "/metrics.jsonl" }
    public var curvesPath: String { path + "/losses.png" }
    public func samplesPath(step: Int) -> String { path + "/samples/" + Self.stepName(step) + ".png" }

    /// Opens the folder or makes it. One that is neither empty nor a run is left alone, and so is one in use.
    public init(_ path: String) throws {
        self.path = path
        let files = FileManager.default
        var isFolder: ObjCBool = false
        if files.fileExists(atPath: path, isDirectory: &isFolder) {
            let names = isFolder.boolValue ? try files.contentsOfDirectory(atPath: path) : ["(a file)"]
            guard names.isEmpty || names.contains("config.json") || names.contains("lock") else {
                throw FileError(path, "is neither empty nor a run", remedy: "give another --out")
            }
        }
        // The lock comes first: a folder that holds one is known as a run, whenever the process ends.
        try makeFolder(path)
        try takeLock()
        for folder in ["/samples", "/checkpoints"] { try makeFolder(path + folder) }
        removeLeftovers()
    }

    deinit {
        if lock >= 0 { close(lock) }
    }

    private func takeLock() throws {
        let lockPath = path + "/lock"
        lock = open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard lock >= 0 else { throw FileError.system(lockPath, "open", code: errno) }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            let owner = (try? String(contentsOfFile: lockPath, encoding: .utf8))?.trimmingCharacters(in: .newlines)
            throw FileError(
                path, "is in use by process \(owner ?? "?")", remedy: "wait for it or give another --out")
        }
        let owner = Array("\(getpid())\n".utf8)
        if ftruncate(lock, 0) != 0 || pwrite(lock, owner, owner.count, 0) != owner.count {
            throw FileError.system(lockPath, "write", code: errno)
        }
    }

    // MARK: - Configuration

    /// Checks that a run that continues does so with a configuration that differs only where it may.
    public func check(_ configuration: TrainingConfiguration) throws { try Self.check(configuration, continues: path) }

    /// The same for a folder that may not be a run yet.
    static func check(_ configuration: TrainingConfiguration, continues path: String) throws {
        let stored = path + "/config.json"
        guard FileManager.default.fileExists(atPath: stored) else { return }
        let before = ConfigurationTree.flattened(try JSONValue.read(path: stored))
        let new = ConfigurationTree.flattened(try ConfigurationTree.tree(of: configuration))
        for (key, value) in new where !changeable.contains(where: key.hasPrefix) {
            guard let old = before.first(where: { $0.key == key })?.value, old != value else { continue }
            throw ConfigurationError(
                "\(stored): this run has \(key) = \(old.text()), now it would be \(value.text()); "
                    + "give the old value or another --out")
        }
    }

    /// Stores the configuration, which `check` has accepted.
    public func store(_ configuration: TrainingConfiguration) throws {
        let text = try ConfigurationTree.tree(of: configuration).text(.pretty) + "\n"
        try AtomicFile.write(to: configurationPath) { try $0.write(Array(text.utf8)) }
    }

    /// What may differ between two starts of one run: its length, what it writes, where it computes.
    private static let changeable = ["steps", "output.", "preview.", "device"]

    // MARK: - Checkpoints

    static func stepName(_ step: Int) -> String {
        let digits = String(step)
        return "step-" + String(repeating: "0", count: max(0, 7 - digits.count)) + digits
    }

    /// The steps of the complete checkpoints below a run's folder, in order.
    public static func checkpointSteps(in path: String) -> [Int] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path + "/checkpoints")) ?? []
        return names.compactMap { name -> Int? in
            guard name.hasPrefix("step-"), let step = Int(name.dropFirst(5)), stepName(step) == name else { return nil }
            return FileManager.default.fileExists(atPath: "\(path)/checkpoints/\(name)/state.json") ? step : nil
        }.sorted()
    }

    /// The newest complete checkpoint of a run; nil if there is none.
    public static func newestCheckpoint(in path: String) -> String? {
        checkpointSteps(in: path).last.map { path + "/checkpoints/" + stepName($0) }
    }

    public func checkpointPath(step: Int) -> String { path + "/checkpoints/" + Self.stepName(step) }

    /// Removes what a process left that ended while it wrote or removed a checkpoint.
    private func removeLeftovers() {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path + "/checkpoints")) ?? []
        for name in names where name.hasPrefix(".partial-") || name.hasPrefix(".removed-") {
            try? FileManager.default.removeItem(atPath: "\(path)/checkpoints/\(name)")
        }
    }

    /// Removes all but the newest `count` checkpoints (0: none is removed). Each loses its name first, so that one that is
    /// half removed is not taken for a whole one.
    func removeOldCheckpoints(keeping count: Int) {
        guard count > 0 else { return }
        for step in Self.checkpointSteps(in: path).dropLast(count) {
            let doomed = path + "/checkpoints/.removed-" + Self.stepName(step)
            if rename(checkpointPath(step: step), doomed) == 0 { try? FileManager.default.removeItem(atPath: doomed) }
        }
    }
}

/// Makes a folder and those above it.
func makeFolder(_ path: String) throws {
    do {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
        throw FileError(path, "cannot be made as a folder (\(errnoText(error)))", remedy: "give another --out")
    }
}

/// The system's reason behind a Foundation error.
private func errnoText(_ error: any Error) -> String {
    let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
    let code = underlying?.domain == NSPOSIXErrorDomain ? Int32(underlying?.code ?? 0) : 0
    return code != 0 ? String(cString: strerror(code)) : (error as NSError).localizedDescription
}
