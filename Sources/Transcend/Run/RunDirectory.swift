import Formats
import Foundation
import Torch

/// The folder of one training run, which holds all of its state.
///
/// It contains `config.json`, `machine.json`, `metrics.jsonl`, `losses.png`, `events/`, `samples/`,
/// `checkpoints/step-0001000/`, and results: `evaluations/`, `features/`, `probes/`. The same command continues a run.
/// Only one process may use it at a time: a lock names the owner.
public final class RunDirectory: Sendable {
    /// The path of the folder, as given.
    public let path: String
    /// The descriptor of the file `lock`.
    private let lock: Int32
    /// The folders that did not exist before, the run's folder last.
    private let newFolders: [String]

    /// The path of all settings, resolved; written at each start.
    public var configurationPath: String { path + "/config.json" }
    /// The path of the metrics, a line of JSON for each logged step.
    public var metricsPath: String { path + "/metrics.jsonl" }
    /// The path of TensorBoard's files.
    public var eventsPath: String { path + "/events" }
    /// The path of the description of the machine on which the run was last started.
    public var machinePath: String { path + "/machine.json" }
    /// The path of the picture of losses, norms and speed.
    public var curvesPath: String { path + "/losses.png" }
    /// The path of the sample grid drawn after so many steps.
    public func samplesPath(step: Int) -> String { path + "/samples/" + CheckpointName.of(step: step) + ".png" }

    /// Opens the folder or makes it. Throws if it is neither empty nor a run, or is in use.
    ///
    /// Of several processes rank 0 owns the run; the others call this after it, and must see its folder.
    public init(_ path: String, for world: World = .alone) throws {
        self.path = path
        guard world.isFirst else {
            guard FileManager.default.fileExists(atPath: path + "/lock") else {
                throw FileError(
                    path, "is not the folder that rank 0 has made",
                    remedy: "keep the run on a file system that all hosts share")
            }
            (lock, newFolders) = (-1, [])
            return
        }
        let files = FileManager.default
        var isFolder: ObjCBool = false
        if files.fileExists(atPath: path, isDirectory: &isFolder) {
            let names = isFolder.boolValue ? try? files.contentsOfDirectory(atPath: path) : ["(a file)"]
            guard let names else { throw FileError.system(path, "cannot be read", code: EACCES) }
            guard names.isEmpty || names.contains("config.json") || names.contains("lock") else {
                throw FileError(path, "is neither empty nor a run", remedy: "give another --out")
            }
        }
        // The lock comes first: a folder with a lock is recognised as a run, whenever the process ends.
        newFolders = try makeFolder(path)
        lock = try Self.takeLock(of: path)
        for folder in ["/samples", "/checkpoints"] {
            try makeFolder(path + folder)
            // A run whose checkpoints cannot be read would start from the beginning.
            guard let list = opendir(path + folder) else {
                throw FileError.system(path + folder, "cannot be read", code: errno)
            }
            closedir(list)
        }
        removeLeftovers()
    }

    /// A run that could not begin leaves no folder behind.
    deinit {
        if !newFolders.isEmpty, !FileManager.default.fileExists(atPath: configurationPath) {
            for folder in ["/samples", "/checkpoints"] { rmdir(path + folder) }
            unlink(path + "/lock")
            removeEmptyFolders(newFolders)
        }
        if lock >= 0 { closeLocked(lock) }
    }

    private static func takeLock(of path: String) throws -> Int32 {
        let lockPath = path + "/lock"
        let lock = open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard lock >= 0 else { throw FileError.system(lockPath, "cannot be written", code: errno) }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            close(lock)
            let owner = (try? String(contentsOfFile: lockPath, encoding: .utf8))?.trimmingCharacters(in: .newlines)
            throw FileError(
                path, "is in use by process \(owner ?? "?")", remedy: "wait for it or give another --out")
        }
        var status = stat()
        guard fstat(lock, &status) == 0, status.st_nlink > 0 else {
            // Another process has just removed the file, with a run that could not begin.
            close(lock)
            return try takeLock(of: path)
        }
        let owner = Array("\(getpid())\n".utf8)
        if ftruncate(lock, 0) != 0 || pwrite(lock, owner, owner.count, 0) != owner.count {
            let code = errno
            close(lock)
            throw FileError.system(lockPath, "cannot be written", code: code)
        }
        return lock
    }

    // MARK: - Configuration

    /// Checks that a continued run has a configuration that differs only where it may.
    public func check(_ configuration: TrainingConfiguration) throws { try Self.check(configuration, continues: path) }

    /// Checks a folder that may not be a run yet; only settings accepted by `isChangeable` may differ.
    static func check(
        _ configuration: TrainingConfiguration, continues path: String,
        isChangeable: (_ key: String) -> Bool = RunDirectory.isChangeable
    ) throws {
        if let step = checkpointSteps(in: path).last, step > configuration.steps {
            throw ConfigurationError(
                "--steps \(configuration.steps): the run \(path) is at step \(step) already; give as many or more")
        }
        // Before its first checkpoint a run has nothing to continue.
        guard let newest = newestCheckpoint(in: path) else { return }
        let stored = path + "/config.json"
        let past =
            FileManager.default.fileExists(atPath: stored)
            ? try TrainingConfiguration(storedAt: stored) : try Checkpoint(newest).state.configuration
        let before = ConfigurationTree.flattened(try ConfigurationTree.tree(of: past))
        let new = ConfigurationTree.flattened(try ConfigurationTree.tree(of: configuration))
        for (key, value) in new where !isChangeable(key) {
            guard let old = before.first(where: { $0.key == key })?.value, old != value else { continue }
            throw ConfigurationError(
                "\(stored): this run has \(key) = \(old.text()), now it would be \(value.text()); "
                    + "give the old value or another --out")
        }
    }

    /// Stores a configuration accepted by `check`.
    public func store(_ configuration: TrainingConfiguration) throws {
        let text = try ConfigurationTree.tree(of: configuration).text(.pretty) + "\n"
        try AtomicFile.write(text, to: configurationPath)
    }

    /// Stores information about this machine, for reports.
    func storeMachine(device: Device) throws {
        let facts = [("device", device.description)] + Diagnosis.machine.map { ($0.name, $0.value) }
        let text = JSONValue.object(facts.map { .init($0.0, .string($0.1)) }).text(.pretty) + "\n"
        try AtomicFile.write(text, to: machinePath)
    }

    /// Whether a setting may differ between two starts of a run: its length, its output, the device and the parts it
    /// computes in (which change rounding alone), and how many steps it may skip (which decides whether a run stops,
    /// not what it computes until then).
    static func isChangeable(_ key: String) -> Bool {
        ["steps", "device", "accumulation", "recompute", "optimizer.skipNonfinite"].contains(key)
            || ["output.", "preview.", "distributed."].contains(where: key.hasPrefix)
    }
}
