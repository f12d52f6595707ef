import Formats
import Foundation
import Synchronization

/// All pictures of a source, decoded at the start and kept in memory.
public struct PixelDataset: Dataset {
    /// The largest share of the machine's memory that the pictures may take.
    public static let memoryShare = 0.7

    public let classNames: [String]
    public let channels = 3
    public let side: Int

    private let labels: [Int]
    /// [N, 3, R, R].
    private let bytes: [UInt8]

    public var count: Int { labels.count }

    /// Decodes all pictures, on all cores; throws a `FileError` that names the first one that cannot be used.
    ///
    /// Each picture has to be `side` x `side` pixels.
    public init(source: any ImageSource, side: Int) throws {
        precondition(side > 0)
        self.side = side
        classNames = source.classNames
        labels = source.entries.map(\.label)

        let size = 3 * side * side
        let needed = Double(size) * Double(source.entries.count)
        let memory = Double(ProcessInfo.processInfo.physicalMemory)
        guard needed <= Self.memoryShare * memory else {
            let sizes = String(format: "%.1f GB; this machine has %.1f GB", needed / 1e9, memory / 1e9)
            throw FileError(
                source.location, "\(labels.count) pictures of \(side)x\(side) pixels take \(sizes)",
                remedy: "use fewer or smaller pictures")
        }
        bytes = try [UInt8](unsafeUninitializedCapacity: labels.count * size) { target, filled in
            try Self.decode(source, side: side, into: Target(pictures: target, size: size))
            filled = target.count
        }
    }

    public func label(_ index: Int) -> Int { labels[index] }

    public func copyImage(_ index: Int, into image: UnsafeMutableBufferPointer<Float>, mirrored: Bool) {
        let size = 3 * side * side
        precondition(labels.indices.contains(index))
        bytes.withUnsafeBufferPointer { bytes in
            let picture = UnsafeBufferPointer(rebasing: bytes[index * size..<(index + 1) * size])
            copyRows(picture, into: image, side: side, mirrored: mirrored)
        }
    }
}

extension PixelDataset {
    /// The memory of all pictures; threads write to different ones.
    private struct Target: @unchecked Sendable {
        let pictures: UnsafeMutableBufferPointer<UInt8>
        let size: Int

        func picture(_ index: Int) -> UnsafeMutableBufferPointer<UInt8> {
            UnsafeMutableBufferPointer(rebasing: pictures[index * size..<(index + 1) * size])
        }
    }

    /// Decodes on all cores. After a failure only pictures before it are tried, so that the first bad one is named however
    /// the threads run.
    private static func decode(_ source: any ImageSource, side: Int, into target: Target) throws {
        let count = source.entries.count
        let chunk = 64
        let failure = Mutex<(index: Int, error: any Error)?>(nil)
        DispatchQueue.concurrentPerform(iterations: (count + chunk - 1) / chunk) { part in
            for index in part * chunk..<min((part + 1) * chunk, count) {
                if failure.withLock({ $0.map { $0.index < index } ?? false }) { return }
                do {
                    try decode(source, index, side: side, into: target.picture(index))
                } catch {
                    failure.withLock { if index < $0?.index ?? .max { $0 = (index, error) } }
                    return
                }
            }
        }
        if let error = failure.withLock({ $0?.error }) { throw error }
    }

    private static func decode(
        _ source: any ImageSource, _ index: Int, side: Int, into picture: UnsafeMutableBufferPointer<UInt8>
    ) throws {
        let name = source.fullName(index)
        let image = try ImageFile.decode(source.read(index), name: name)
        guard image.width == side, image.height == side else {
            throw FileError(
                name, "has \(image.width)x\(image.height) pixels where \(side)x\(side) are expected",
                remedy: "resize the pictures first (resizing comes with the latent pipeline)")
        }
        let plane = side * side
        image.pixels.withUnsafeBufferPointer { pixels in
            for place in 0..<plane {
                picture[place] = pixels[3 * place]
                picture[plane + place] = pixels[3 * place + 1]
                picture[2 * plane + place] = pixels[3 * place + 2]
            }
        }
    }
}
