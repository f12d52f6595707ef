import Formats
import Foundation

/// A snapshot of a run, seen from outside.
public struct RunSnapshot: Sendable {
    /// The state of the training process.
    public enum Activity: Sendable, Equatable {
        /// It is running on this machine with this process ID.
        case running(process: Int32)
        /// The last step is done.
        case finished
        /// No process on this machine holds the run, and steps are left.
        case stopped
    }

    /// The path of the watched folder.
    public var path: String
    /// Whether it is running, finished, or stopped.
    public var activity: Activity
    /// The stage that is shown: in a pipeline the last one that has begun.
    public var stage: String
    /// The number of the stage, from 1.
    public var stageNumber = 1
    /// The number of stages; 1 outside a pipeline.
    public var stageCount = 1
    /// The number of steps done, as far as recorded.
    public var step = 0
    /// The total number of steps; 0 if not known.
    public var steps = 0
    /// The number of images in a step; 0 if not known.
    public var batch = 0
    /// All rows of the stage's metrics.
    public var rows: [MetricsRow] = []
    /// The seconds since a row was written; nil without rows.
    public var secondsSinceRow: Double?
    /// The newest checkpoint, relative to `path`, and its age in seconds; nil if there is none.
    public var checkpoint: (path: String, seconds: Double)?
    /// The newest sample grid and its age; nil if there is none.
    public var samples: (path: String, seconds: Double)?

    /// Creates an otherwise empty snapshot.
    public init(path: String, activity: Activity, stage: String) {
        (self.path, self.activity, self.stage) = (path, activity, stage)
    }

    /// The newest value of a metric; nil if it has none.
    public func newest(_ key: String) -> Double? { rows.last { $0.values[key] != nil }?.values[key] }

    /// The remaining time of the stage at its current speed; nil if nothing runs or the speed is not known.
    public var secondsLeft: Double? {
        guard case .running = activity, let speed = newest("imagesPerSecond"), speed > 0, batch > 0, steps > 0 else {
            return nil
        }
        return Double(batch) * Double(max(0, steps - step)) / speed
    }
}

/// Watches a run or a pipeline trained by another process; it only reads.
public struct RunWatch {
    private let path: String
    private var tail: MetricsTail?
    private var owner: RunOwner?

    /// Creates a watch; throws a `FileError` if the folder at `path` is neither a run nor a pipeline's.
    public init(path: String) throws {
        self.path = path
        guard Self.isRun(path) || Self.begunStage(of: path) != nil else {
            throw FileError(path, "is not a run", remedy: "give the folder of a run or of a pipeline (its --out)")
        }
    }

    /// Takes a snapshot of the run. Throws a `FileError` if its metrics cannot be read.
    public mutating func look() throws -> RunSnapshot {
        let index = Self.isRun(path) ? nil : Self.begunStage(of: path)
        let folder = index.map { path + "/" + Pipeline.stages[$0] } ?? path
        let configuration = try? JSONValue.read(path: folder + "/config.json")
        let name = configuration?["method"]?["name"]?.string ?? index.map { Pipeline.stages[$0] } ?? "run"
        var snapshot = RunSnapshot(path: path, activity: .stopped, stage: name)
        snapshot.stageNumber = (index ?? 0) + 1
        snapshot.stageCount = index == nil ? 1 : Pipeline.stages.count
        snapshot.steps = configuration?["steps"]?.int ?? 0
        snapshot.batch = configuration?["batch"]?.int ?? 0
        try read(folder, into: &snapshot)

        // Between two stages of a pipeline the process exists but holds no lock.
        owner = RunOwner(of: folder) ?? owner.flatMap { $0.isAlive ? $0 : nil }
        let isDone = snapshot.steps > 0 && snapshot.step >= snapshot.steps
        if let owner {
            snapshot.activity = .running(process: owner.process)
        } else if isDone, snapshot.stageNumber == snapshot.stageCount {
            snapshot.activity = .finished
        }
        return snapshot
    }

    private mutating func read(_ folder: String, into snapshot: inout RunSnapshot) throws {
        let metrics = folder + "/metrics.jsonl"
        if tail?.path != metrics { tail = MetricsTail(path: metrics) }
        try tail?.update()
        snapshot.rows = tail?.rows ?? []
        if !snapshot.rows.isEmpty { snapshot.secondsSinceRow = age(of: metrics) }

        let checkpoint = RunDirectory.checkpointSteps(in: folder).last
        // A row is about the step in which it was measured, a checkpoint about the number of steps done.
        snapshot.step = max(checkpoint ?? 0, snapshot.rows.last.map { $0.step + 1 } ?? 0)
        snapshot.checkpoint = checkpoint.flatMap { relative(folder + "/checkpoints/" + CheckpointName.of(step: $0)) }
        let grids = (try? FileManager.default.contentsOfDirectory(atPath: folder + "/samples")) ?? []
        snapshot.samples = grids.filter { $0.hasPrefix("step-") && $0.hasSuffix(".png") }.max().flatMap {
            relative(folder + "/samples/" + $0)
        }
    }

    private func relative(_ file: String) -> (path: String, seconds: Double)? {
        age(of: file).map { (String(file.dropFirst(path.count + 1)), $0) }
    }

    /// The seconds since a file was changed.
    private func age(of file: String) -> Double? {
        var status = stat()
        guard stat(file, &status) == 0 else { return nil }
        return max(0, Date().timeIntervalSince1970 - Double(status.st_mtim.tv_sec))
    }

    private static func isRun(_ folder: String) -> Bool {
        ["/config.json", "/lock"].contains { FileManager.default.fileExists(atPath: folder + $0) }
    }

    private static func begunStage(of path: String) -> Int? {
        Pipeline.stages.indices.last { isRun(path + "/" + Pipeline.stages[$0]) }
    }
}
