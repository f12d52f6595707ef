import Formats
import Foundation
import Synchronization

/// An image of a source that cannot be used.
public struct BadImage: Equatable, Sendable {
    /// The name of the image in the source.
    public var name: String
    /// The problem, without a full stop.
    public var reason: String

    /// Creates an entry for an image and its problem.
    public init(name: String, reason: String) {
        (self.name, self.reason) = (name, reason)
    }

    /// Creates an entry for the image that an error concerns.
    init(_ entry: ImageEntry, _ error: any Error) {
        self.init(name: entry.name, reason: (error as? FileError)?.problem ?? "\(error)")
    }
}

/// The result of decoding every image of a source.
public struct ImageCheck: Sendable {
    /// The number of decodable images of each size, most frequent size first.
    public let sizes: [(width: Int, height: Int, count: Int)]
    /// The images that cannot be decoded, in the order of the source.
    public let bad: [BadImage]

    /// Reads and decodes all images, on all cores, without keeping them.
    public init(_ source: any ImageSource) {
        let counts = Mutex<[SIMD2<Int>: Int]>([:])
        let failures = FailureList()
        concurrently(source.entries.count) { index in
            do {
                let image = try ImageFile.decode(source.read(index), name: source.fullName(index))
                counts.withLock { $0[SIMD2(image.width, image.height), default: 0] += 1 }
            } catch {
                failures.add(index, error)
            }
            return true
        }
        let sorted = counts.withLock { $0 }.sorted { ($1.value, $0.key.x, $0.key.y) < ($0.value, $1.key.x, $1.key.y) }
        sizes = sorted.map { ($0.key.x, $0.key.y, $0.value) }
        bad = failures.all.map { BadImage(source.entries[$0.index], $0.error) }
    }
}

/// A thread-safe list of errors by index.
final class FailureList: Sendable {
    private let failures = Mutex<[(index: Int, error: any Error)]>([])

    /// All failures, in the order of their indices.
    var all: [(index: Int, error: any Error)] { failures.withLock { $0 }.sorted { $0.index < $1.index } }

    /// Whether there is a failure before `index`.
    func hasFailure(before index: Int) -> Bool { failures.withLock { $0.contains { $0.index < index } } }

    func add(_ index: Int, _ error: any Error) { failures.withLock { $0.append((index, error)) } }
}

/// Calls `body` with every index below `count`, on all cores, in runs of consecutive indices; if it returns false, the
/// rest of its run is skipped.
func concurrently(_ count: Int, _ body: @Sendable (Int) -> Bool) {
    let run = 64
    DispatchQueue.concurrentPerform(iterations: (count + run - 1) / run) { part in
        for index in part * run..<min((part + 1) * run, count) {
            guard body(index) else { return }
        }
    }
}
