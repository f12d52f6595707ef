import Data
import Evaluation
import Synchronization

/// The samples of a job as a set of pictures, drawn by all ranks in turn when they are requested in order.
final class GeneratedPictures: PictureSet {
    let location: String
    private let job: SamplingJob
    private let world: World
    /// The pictures drawn last, starting at index `first`.
    private let drawn = Mutex<(first: Int, pictures: [RGBImage])>((0, []))

    /// Creates the set; `location` is its name in results.
    init(_ job: SamplingJob, in world: World = .alone, location: String) {
        (self.job, self.world, self.location) = (job, world, location)
    }

    var count: Int { job.stamp.samples }
    var labels: [Int]? { job.labels.labels }

    /// Draws the missing pictures up to the end of the range, and releases those before it.
    func prepare(_ range: Range<Int>) throws {
        try drawn.withLock { drawn in
            let passed = min(max(0, range.lowerBound - drawn.first), drawn.pictures.count)
            drawn.pictures.removeFirst(passed)
            drawn.first += passed
            while drawn.first + drawn.pictures.count < range.upperBound {
                let next = drawn.first + drawn.pictures.count
                drawn.pictures += try job.round(from: next, in: world)
            }
        }
    }

    func picture(_ index: Int) throws -> RGBImage { drawn.withLock { $0.pictures[index - $0.first] } }
}
