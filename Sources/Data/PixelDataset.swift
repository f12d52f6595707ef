import Formats
import Foundation

/// All pictures of a source, decoded at the start and kept in memory.
public struct PixelDataset: Dataset {
    /// The maximum share of the machine's memory that the pictures may take.
    public static let memoryShare = 0.7

    public let classNames: [String]
    public let channels = 3
    public let side: Int
    /// The images that could not be used, in the order of the source; empty without `skippingBad`.
    public let skipped: [BadImage]
    public let unread: UnreadPictures

    private let labels: [Int]
    /// The pictures [N, 3, R, R].
    private let bytes: [UInt8]

    public var count: Int { labels.count }
    /// A checksum of the pictures themselves.
    public var fingerprint: String { bytes.withUnsafeBytes { Checksum(of: $0).text } }

    /// Decodes all pictures, on all cores; throws a `FileError` that names the first one that cannot be used.
    ///
    /// Each picture must be `side` x `side` pixels. With `skippingBad`, unusable pictures are listed in `skipped`
    /// instead, and the others are numbered without a gap: which pictures there are depends on the source alone. It is
    /// still an error if a class would lose all its pictures.
    public init(source: any ImageSource, side: Int, skippingBad: Bool = false) throws {
        precondition(side > 0)
        self.side = side
        classNames = source.classNames
        unread = source.unread
        let entries = source.entries
        try Self.checkMemory(for: source, side: side)

        var good: [Int] = []
        var bad: [BadImage] = []
        let size = 3 * side * side
        bytes = try [UInt8](unsafeUninitializedCapacity: entries.count * size) { buffer, filled in
            let target = Target(pictures: buffer, size: size)
            let failures = Self.decode(source, side: side, into: target, skippingBad: skippingBad)
            if !skippingBad, let first = failures.first { throw Self.advised(first.error) }
            bad = failures.map { BadImage(entries[$0.index], $0.error) }
            let places = Set(failures.map(\.index))
            good = entries.indices.filter { !places.contains($0) }
            target.keep(good)
            filled = good.count * size
        }
        labels = good.map { entries[$0].label }
        skipped = bad
        let left = Set(labels)
        if let lost = entries.first(where: { !left.contains($0.label) }) {
            throw FileError(
                source.location,
                "all images of the class \(classNames[lost.label]) are bad: \(lost.name) "
                    + (bad.first { $0.name == lost.name }?.reason ?? ""), remedy: "repair them or remove the class")
        }
    }

    /// Adds advice to an error that has none.
    private static func advised(_ error: any Error) -> any Error {
        guard var advised = error as? FileError, advised.remedy.isEmpty else { return error }
        advised.remedy = "repair or remove it, or leave out such images (--skip-bad-images)"
        return advised
    }

    private static func checkMemory(for source: any ImageSource, side: Int) throws {
        let count = source.entries.count
        let needed = 3 * Double(side) * Double(side) * Double(count)
        let memory = Double(ProcessInfo.processInfo.physicalMemory)
        guard needed <= memoryShare * memory else {
            let sizes = String(format: "%.1f GB; this machine has %.1f GB", needed / 1e9, memory / 1e9)
            throw FileError(
                source.location, "\(count) pictures of \(side)x\(side) pixels take \(sizes)",
                remedy: "use fewer or smaller pictures")
        }
    }

    public func label(_ index: Int) -> Int { labels[index] }

    public func copyImage(
        _ index: Int, epoch: Int, into image: UnsafeMutableBufferPointer<Float>, mirrored: Bool
    ) {
        let size = 3 * side * side
        precondition(labels.indices.contains(index))
        bytes.withUnsafeBufferPointer { bytes in
            let picture = UnsafeBufferPointer(rebasing: bytes[index * size..<(index + 1) * size])
            copyRows(picture, into: image, side: side, mirrored: mirrored)
        }
    }
}

extension PixelDataset {
    /// The memory of all pictures; threads write to disjoint parts.
    private struct Target: @unchecked Sendable {
        let pictures: UnsafeMutableBufferPointer<UInt8>
        let size: Int

        func picture(_ index: Int) -> UnsafeMutableBufferPointer<UInt8> {
            UnsafeMutableBufferPointer(rebasing: pictures[index * size..<(index + 1) * size])
        }

        /// Moves the pictures with these ascending indices to the front.
        func keep(_ indices: [Int]) {
            for (place, index) in indices.enumerated() where place != index {
                _ = picture(place).update(fromContentsOf: picture(index))
            }
        }
    }

    /// Decodes on all cores and returns the failures, in order. Unless bad pictures are skipped, only pictures before a
    /// failure are tried after it, so that the first bad one is found regardless of how threads run.
    private static func decode(
        _ source: any ImageSource, side: Int, into target: Target, skippingBad: Bool
    ) -> [(index: Int, error: any Error)] {
        let failures = FailureList()
        concurrently(source.entries.count) { index in
            if !skippingBad, failures.hasFailure(before: index) { return false }
            do {
                try decode(source, index, side: side, into: target.picture(index))
            } catch {
                failures.add(index, error)
            }
            return true
        }
        return failures.all
    }

    private static func decode(
        _ source: any ImageSource, _ index: Int, side: Int, into picture: UnsafeMutableBufferPointer<UInt8>
    ) throws {
        let name = source.fullName(index)
        let bytes = try source.read(index)
        // Before decoding, so that the allocation does not depend on the file.
        let (width, height) = try ImageFile.size(bytes, name: name)
        guard width == side, height == side else {
            throw FileError(
                name, "has \(width)x\(height) pixels where \(side)x\(side) are expected",
                remedy: "crop them first: transcend prepare --mode pixels --resolution \(side)")
        }
        _ = picture.update(fromContentsOf: try ImageFile.decode(bytes, name: name).planes)
    }
}
