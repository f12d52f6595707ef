import Data
import Evaluation
import Synchronization

/// The samples of a job as a set of pictures, drawn batch by batch when they are asked for in their order.
final class GeneratedPictures: PictureSet {
    let location: String
    private let job: SamplingJob
    private let batch = Mutex<(first: Int, pictures: [RGBImage])>((0, []))

    /// `location` is what results call them.
    init(_ job: SamplingJob, location: String) { (self.job, self.location) = (job, location) }

    var count: Int { job.stamp.samples }
    var labels: [Int]? { job.labels.labels }

    func picture(_ index: Int) throws -> RGBImage {
        try batch.withLock { batch in
            let place = index - batch.first
            if batch.pictures.indices.contains(place) { return batch.pictures[place] }
            batch.first = index - index % SampleGenerator.batch
            batch.pictures = try job.batch(from: batch.first).map(RGBImage.init)
            return batch.pictures[index - batch.first]
        }
    }
}
