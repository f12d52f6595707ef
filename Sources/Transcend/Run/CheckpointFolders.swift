import Formats
import Foundation

/// The names of checkpoint folders and their meaning: `step-0001000` is complete.
enum CheckpointName {
    /// The prefix of a checkpoint being written.
    static let partial = ".partial-"
    /// The prefix of a checkpoint being removed.
    static let removed = ".removed-"
    /// The name of an empty file that marks a checkpoint as the teacher of another run.
    static let followed = "followed"

    /// The name for a step, such as "step-0001000".
    static func of(step: Int) -> String {
        let digits = String(step)
        return "step-" + String(repeating: "0", count: max(0, 7 - digits.count)) + digits
    }

    /// The step of a name; nil if it is not a checkpoint's.
    static func step(_ name: some StringProtocol) -> Int? {
        guard name.hasPrefix("step-"), let step = Int(name.dropFirst(5)), of(step: step) == name else { return nil }
        return step
    }

    /// Removes a checkpoint, if it exists. It is renamed durably first, so that a half-removed one is never mistaken
    /// for a complete one, whenever the process or the machine stops.
    static func remove(_ path: String) throws {
        let url = URL(fileURLWithPath: path)
        let folder = url.deletingLastPathComponent().path
        let doomed = folder + "/" + removed + url.lastPathComponent
        try? FileManager.default.removeItem(atPath: doomed)
        guard rename(path, doomed) == 0 else {
            if errno == ENOENT { return }
            throw FileError.system(path, "cannot be removed", code: errno)
        }
        try synchronizeFolder(folder)
        try? FileManager.default.removeItem(atPath: doomed)
    }
}

extension Checkpoint {
    /// Keeps the run that wrote it from removing it as an old one: another run follows it from now on, and could not be
    /// continued without it. If nothing can be written here, this is not guaranteed.
    func markFollowed() {
        guard RunDirectory.run(ofCheckpoint: path) != nil else { return }
        try? AtomicFile.write([], to: path + "/" + CheckpointName.followed)
    }
}

extension RunDirectory {
    /// The steps of the checkpoints in a run's folder, in order; a folder has such a name only once it is complete.
    public static func checkpointSteps(in path: String) -> [Int] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path + "/checkpoints")) ?? []
        return names.compactMap(CheckpointName.step).sorted()
    }

    /// The newest checkpoint of a run; nil if there is none.
    public static func newestCheckpoint(in path: String) -> String? {
        checkpointSteps(in: path).last.map { path + "/checkpoints/" + CheckpointName.of(step: $0) }
    }

    /// The folder of the run that a checkpoint belongs to; nil for a standalone one.
    public static func run(ofCheckpoint path: String) -> String? {
        let url = URL(fileURLWithPath: path)
        let above = url.deletingLastPathComponent()
        guard CheckpointName.step(url.lastPathComponent) != nil, above.lastPathComponent == "checkpoints" else {
            return nil
        }
        return above.deletingLastPathComponent().path
    }

    /// All checkpoints of the run that a checkpoint belongs to, in order; only itself for a standalone one.
    public static func checkpoints(besides path: String) -> [String] {
        guard let run = run(ofCheckpoint: path) else { return [path] }
        return checkpointSteps(in: run).map { "\(run)/checkpoints/\(CheckpointName.of(step: $0))" }
    }

    /// The path of a step's checkpoint, whether it exists or not: `checkpoints/step-0001000`.
    public func checkpointPath(step: Int) -> String { path + "/checkpoints/" + CheckpointName.of(step: step) }

    /// Removes all checkpoints except the newest ones, those at set intervals, and those that another run follows.
    func removeOldCheckpoints(_ output: OutputConfiguration) throws {
        guard output.keepCheckpoints > 0 else { return }
        for step in Self.checkpointSteps(in: path).dropLast(output.keepCheckpoints) {
            let checkpoint = checkpointPath(step: step)
            let isFollowed = FileManager.default.fileExists(atPath: checkpoint + "/" + CheckpointName.followed)
            let isKept = isFollowed || output.keepEvery > 0 && step.isMultiple(of: output.keepEvery)
            if !isKept { try CheckpointName.remove(checkpoint) }
        }
    }

    /// Removes leftovers of a process that ended while it wrote a file, or wrote or removed a checkpoint.
    func removeLeftovers() {
        for folder in [path, path + "/samples", path + "/checkpoints"] {
            for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
                let isFile = name.hasPrefix(".") && name.contains(FileWriter.partialMark)
                let isFolder = name.hasPrefix(CheckpointName.partial) || name.hasPrefix(CheckpointName.removed)
                if isFile || isFolder { try? FileManager.default.removeItem(atPath: folder + "/" + name) }
            }
        }
    }
}
