import Data
import Formats
import Foundation

/// The TensorBoard events of a run: its metrics and sample grids, in `events/`.
///
/// They duplicate `metrics.jsonl` and `samples/`, so nothing is lost if they cannot be written.
final class RunEvents {
    private let folder: String
    private let firstStep: Int
    private var file: EventFile?

    /// Creates the events; `firstStep` is the next step of the run. Nothing is written before there is an event.
    init(folder: String, firstStep: Int) { (self.folder, self.firstStep) = (folder, firstStep) }

    /// Appends the values of a step under the name of the stage. Throws a `FileError`.
    func append(step: Int, stage: String, values: [(name: String, value: Double)]) throws {
        try opened().append(step: step, values.map { ("\(stage)/\($0.name)", $0.value) })
    }

    /// Appends the sample grid in a PNG file; does nothing if there is none. Throws a `FileError`.
    func append(step: Int, stage: String, picture path: String) throws {
        guard FileManager.default.fileExists(atPath: path) else { return }
        let bytes = try MappedFile(path: path).withBytes { Array($0) }
        let picture = try ImageFile.decode(bytes, name: path)
        try opened().append(
            step: step, tag: "\(stage)/samples", png: bytes, width: picture.width, height: picture.height)
    }

    private func opened() throws -> EventFile {
        if let file { return file }
        try makeFolder(folder)
        let file = try EventFile(folder: folder, firstStep: firstStep)
        self.file = file
        return file
    }
}
