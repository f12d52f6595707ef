import Data
import Evaluation
import Foundation

/// What samples are measured against: pictures, a file of their statistics, or the data of a run. Measured once, when it is
/// needed first.
public final class EvaluationReference {
    /// What results call it.
    public let name: String
    private let extractor: any FeatureExtractor
    private let configuration: TrainingConfiguration?
    private var measured: MeasuredSet?
    private var isMeasured = false

    /// Pictures or a file of statistics at a path.
    public init(path: String, extractor: any FeatureExtractor) {
        (name, self.extractor, configuration) = (path, extractor, nil)
    }

    /// The data on which a checkpoint was trained.
    public init(trainingDataOf checkpoint: Checkpoint, extractor: any FeatureExtractor) {
        let configuration = checkpoint.state.configuration
        (name, self.extractor, self.configuration) = (configuration.data.source, extractor, configuration)
    }

    /// Its features, on the first of several ranks. `progress` is told of how many pictures how many are done. Throws what keeps
    /// it from being read or measured.
    public func measure(
        in world: World = .alone, progress: (_ done: Int, _ count: Int) -> Void = { _, _ in }
    ) throws -> MeasuredSet? {
        if isMeasured { return measured }
        let result: MeasuredSet?
        if let configuration {
            let pictures = try DatasetPictures(TrainingData.open(configuration), location: name)
            result = try MeasuredSet.measure(pictures, by: extractor, among: world) { progress($0, pictures.count) }
        } else if try StatisticsFile.isOne(name) {
            result =
                try world.isFirst
                ? StatisticsFile.read(path: name, extractor: extractor) { progress($0, StatisticsFile.pictures) } : nil
        } else {
            let pictures = try openPictures(path: name)
            result = try MeasuredSet.measure(pictures, by: extractor, among: world) { progress($0, pictures.count) }
        }
        (measured, isMeasured) = (result, true)
        return result
    }
}
