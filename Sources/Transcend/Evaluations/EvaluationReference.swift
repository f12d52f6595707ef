import Data
import Evaluation
import Formats
import Foundation

/// The reference of an evaluation: pictures, a file of their statistics, or the data of a run. It is measured once, on
/// first use.
public final class EvaluationReference {
    /// The name in results.
    public let name: String
    private let extractor: any FeatureExtractor
    private let configuration: TrainingConfiguration?
    private var measured: MeasuredSet?
    private var isMeasured = false
    /// An identity of its content: checksums if they are available, otherwise sizes and modification times of files.
    /// Throws a `FileError`.
    private(set) lazy var content = Result { try Self.content(of: name) }

    /// Creates a reference from pictures or a file of statistics at a path.
    public init(path: String, extractor: any FeatureExtractor) {
        (name, self.extractor, configuration) = (path, extractor, nil)
    }

    /// Creates a reference from the data on which a checkpoint was trained.
    public init(trainingDataOf checkpoint: Checkpoint, extractor: any FeatureExtractor) {
        let configuration = checkpoint.state.configuration
        (name, self.extractor, self.configuration) = (configuration.data.source, extractor, configuration)
    }

    private static func content(of path: String) throws -> String {
        if path == DataConfiguration.embedded { return path }
        if NumpyFile.isArchive(path) {
            let entries = try ZipArchive(path: path).entries.map { "\($0.name) \($0.crc) \($0.count)" }
            return Checksum(of: entries.joined(separator: "\n")).text
        }
        if StoreManifest.exists(in: path) { return try StoreManifest.read(from: path).fingerprint }
        if try openLatents(path: path) != nil { return path }  // which are refused when they are to be measured
        var isFolder: ObjCBool = false
        _ = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
        let files = isFolder.boolValue ? try openSource(path: path).entries.map { path + "/" + $0.name } : [path]
        return try Checksum(of: files.map(trait).joined(separator: "\n")).text
    }

    /// The name, size and modification time of a file.
    private static func trait(ofFile path: String) throws -> String {
        var status = stat()
        guard stat(path, &status) == 0 else { throw FileError.system(path, "cannot be opened", code: errno) }
        return "\(path) \(status.st_size) \(status.st_mtim.tv_sec) \(status.st_mtim.tv_nsec)"
    }

    /// Measures its features, on the first of several ranks. `progress` is called with the number of pictures done and
    /// in all. Throws if it cannot be read or measured.
    public func measure(
        in world: World = .alone, progress: (_ done: Int, _ count: Int) -> Void = { _, _ in }
    ) throws -> MeasuredSet? {
        if isMeasured { return measured }
        let result: MeasuredSet?
        if let configuration {
            let pictures = try DatasetPictures(TrainingData.open(configuration, isTrained: true), location: name)
            result = try MeasuredSet.measure(pictures, by: extractor, among: world) { progress($0, pictures.count) }
        } else if try StatisticsFile.isOne(name) {
            result =
                try world.isFirst
                ? StatisticsFile.read(path: name, extractor: extractor, progress: progress) : nil
        } else {
            let pictures = try openPictures(path: name)
            result = try MeasuredSet.measure(pictures, by: extractor, among: world) { progress($0, pictures.count) }
        }
        (measured, isMeasured) = (result, true)
        return result
    }
}
