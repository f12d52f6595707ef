import Formats
import Torch

/// The size of pictures, in pixels.
public struct PictureSize: Equatable, Sendable {
    /// Of a row.
    public var width: Int
    /// Of a column.
    public var height: Int
}

/// Communication between processes that measure together.
extension MeasuredSet {
    /// The features of each rank's pictures, and the pictures' size; nil for a rank that had none.
    static func gather(
        _ result: ImageFeatures?, of size: PictureSize?, among ranks: any Ranks
    ) throws -> [(features: ImageFeatures?, size: PictureSize?)] {
        if ranks.size == 1 { return [(result, size)] }
        let header = [size?.width ?? 0, size?.height ?? 0].flatMap { withUnsafeBytes(of: $0, Array.init) }
        return try ranks.gather(header + (result?.bytes ?? [])).map { bytes in
            let numbers = bytes.withUnsafeBytes { Array($0.bindMemory(to: Int.self).prefix(2)) }
            let size = numbers[0] > 0 ? PictureSize(width: numbers[0], height: numbers[1]) : nil
            return (ImageFeatures(bytes: Array(bytes.dropFirst(header.count))), size)
        }
    }

    /// Throws a `FileError` if pictures have different sizes, when both are known.
    static func check(_ size: PictureSize?, with expected: PictureSize?, in location: String) throws {
        guard let size, let expected, size != expected else { return }
        throw FileError(
            location,
            "holds pictures of \(expected.width) x \(expected.height) and of \(size.width) x \(size.height) pixels",
            remedy: "bring them to one size, as transcend prepare does")
    }
}
