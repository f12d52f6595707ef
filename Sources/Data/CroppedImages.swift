import Formats

/// Reads, decodes and crops the images of a source in background threads, and hands them out in order.
public final class CroppedImages: Sendable {
    /// Consecutive images of the source.
    public struct Batch: Sendable {
        /// The images that could be read, with their indices in the source.
        public var images: [(index: Int, image: RGBImage)] = []
        /// The images that could not be read, with the reason.
        public var failures: [(index: Int, error: FileError)] = []
    }

    private let queue: StepQueue<Batch>

    /// Starts `threads` threads; each range of `batches` becomes a batch of squares with `resolution` pixels a side.
    public init(source: any ImageSource, resolution: Int, batches: [Range<Int>], threads: Int) {
        queue = StepQueue(firstStep: 0, ahead: 2 * threads, threads: threads) { step in
            var batch = Batch()
            // The threads run ahead of the requests.
            guard step < batches.count else { return batch }
            for index in batches[step] {
                let name = source.fullName(index)
                do {
                    let image = try ImageFile.decode(source.read(index), name: name).centreCropped(to: resolution)
                    batch.images.append((index, image))
                } catch {
                    batch.failures.append((index, error as? FileError ?? FileError(name, "\(error)")))
                }
            }
            return batch
        }
    }

    /// The next batch, as soon as it is ready.
    public func next() throws -> Batch { try queue.next() }

    /// Stops the threads and waits for them.
    public func stop() { queue.stop() }
}
