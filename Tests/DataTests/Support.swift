import Data
import Formats
import Synchronization
import TestSupport

extension TemporaryFolder {
    /// Writes files, with the folders above them.
    func add(_ files: [String: [UInt8]]) throws {
        for (name, bytes) in files { try file(name, bytes) }
    }
}

/// A PNG file of one colour.
func png(side: Int = 2, value: UInt8 = 0) throws -> [UInt8] {
    try ImageFile.encodePNG(
        RGBImage(width: side, height: side, pixels: [UInt8](repeating: value, count: 3 * side * side)))
}

/// Pictures, and features of two encoders, whose every number is their index, save the first of each row, which is -1; labels are indices, too.
struct NumberedDataset: Dataset {
    var count: Int
    var classNames: [String] { (0..<count).map(String.init) }
    var channels: Int { 1 }
    var side: Int { 2 }
    var features: [FeatureLayout] { [layout("a", 1), layout("b", 3)] }

    private func layout(_ name: String, _ tokens: Int) -> FeatureLayout {
        FeatureLayout(encoder: name, tokens: tokens, width: 2, hasMirrored: true)
    }

    func label(_ index: Int) -> Int { index }

    func copyImage(
        _ index: Int, epoch: Int, into image: UnsafeMutableBufferPointer<Float>, mirrored: Bool
    ) {
        let row = mirrored ? [Float(index), -1] : [-1, Float(index)]
        _ = image.update(fromContentsOf: row + row)
    }

    /// The picture's index and the encoder's, 100 more each of a mirror image.
    func copyFeatures(
        _ index: Int, of encoder: Int, mirrored: Bool, into numbers: UnsafeMutableBufferPointer<Float>
    ) {
        for place in numbers.indices {
            numbers[place] = Float(place % 2 == 0 ? index : encoder) + (mirrored ? 100 : 0)
        }
    }
}

/// A number that several threads count up.
final class Counter: Sendable {
    private let count = Mutex(0)

    var value: Int { count.withLock { $0 } }

    func increment() { count.withLock { $0 += 1 } }
}
