import Formats
import Foundation
import Torch

/// A copy of a checkpoint's content in host memory, so that it can be written while training continues.
///
/// It takes as much memory as weights, averages and moments together.
struct CheckpointSnapshot: Sendable {
    private let state: Checkpoint.State
    private let files: [(name: String, tensors: [(name: String, tensor: Tensor)])]
    /// Whether other ranks have files too.
    private let isSpread: Bool

    /// Copies the current state of training; throws if memory is insufficient.
    init(_ training: TrainingState, state: Checkpoint.State) throws {
        self.state = state
        isSpread = training.shares != nil
        files = try withErrors {
            training.files.map { file in (file.name, file.tensors.map { ($0.name, $0.tensor.copiedToHost()) }) }
        }
    }

    /// A checkpoint of tensors that do not change while it is written, such as those of a file.
    init(_ files: [(name: String, tensors: [(name: String, tensor: Tensor)])], state: Checkpoint.State) {
        (self.files, self.state, isSpread) = (files, state, false)
    }

    /// Writes a checkpoint beside its final place and renames it when it is complete and on the disk. In a world each
    /// rank that has files writes them, and rank 0 writes the rest once they exist.
    func write(to path: String, in world: World = .alone) throws {
        let url = URL(fileURLWithPath: path)
        let folder = url.deletingLastPathComponent().path
        let partial = folder + "/" + CheckpointName.partial + url.lastPathComponent
        guard world.isFirst else {
            _ = try world.note(from: 0, "\(path) begun")
            return try world.post(note: "\(path) written", writeFiles(in: partial).text())
        }
        try? FileManager.default.removeItem(atPath: partial)
        try makeFolder(partial)
        do {
            if isSpread { try world.post(note: "\(path) begun", "") }
            var state = state
            var checksums = [try writeFiles(in: partial)]
            if isSpread {
                checksums += try (1..<world.size).map {
                    try JSONValue(parsing: world.note(from: $0, "\(path) written"))
                }
            }
            for member in checksums.flatMap({ $0.members ?? [] }) { state.checksums[member.key] = member.value.string }
            let text = try state.text()
            try AtomicFile.write(text, to: partial + "/" + Checkpoint.State.file)
            // A folder in its place is incomplete (a complete one would not be written again), and would prevent the
            // renaming.
            try CheckpointName.remove(path)
            if rename(partial, path) != 0 { throw FileError.system(path, "cannot be written", code: errno) }
        } catch {
            try? FileManager.default.removeItem(atPath: partial)
            throw error
        }
        try synchronizeFolder(folder)
    }

    /// Writes this process's tensors; returns the checksums of the files by name.
    private func writeFiles(in folder: String) throws -> JSONValue {
        .object(
            try files.map { name, tensors in
                .init(name, .string(try SafetensorsFile.write(tensors, to: folder + "/" + name).text))
            })
    }
}

/// Writes checkpoints in a thread beside training, one at a time. All state is guarded by `condition`.
final class CheckpointWriter: @unchecked Sendable {
    private let condition = NSCondition()
    private var work: (@Sendable () throws -> Void)?
    private var isBusy = false
    private var failure: (any Error)?

    /// Runs `work` in a thread of its own. The previous one must have been waited for.
    func begin(_ work: @escaping @Sendable () throws -> Void) {
        condition.withLock {
            precondition(!isBusy, "wait for the checkpoint before")
            self.work = work
            isBusy = true
        }
        let thread = Thread { [self] in run() }
        thread.name = "checkpoint"
        thread.start()
    }

    /// Throws the error that kept a checkpoint from being written, if it is known by now.
    func check() throws {
        if let failure = condition.withLock({ failure }) { throw failure }
    }

    /// Waits until nothing is being written, and throws any error of the writing.
    func wait() throws {
        condition.lock()
        while isBusy { condition.wait() }
        condition.unlock()
        try check()
    }

    private func run() {
        // The snapshot is released before the next one can be made.
        let result = Result { try withErrors { try takeWork()?() } }
        condition.withLock {
            if case .failure(let error) = result { failure = error }
            isBusy = false
            condition.broadcast()
        }
    }

    private func takeWork() -> (@Sendable () throws -> Void)? {
        condition.withLock {
            defer { work = nil }
            return work
        }
    }
}

extension Tensor {
    /// A copy in host memory.
    fileprivate func copiedToHost() -> Tensor { device.kind == .cpu ? copied() : to(.cpu) }
}
