import Foundation
import Testing
import Torch

/// All tests of the engine. One at a time, since libtorch already uses every core.
@Suite(.serialized) enum EngineTests {}

/// Numbers between -1 and 1 that float32 holds exactly and that follow no pattern of rows and columns.
func pattern(_ count: Int, _ start: Double = 0) -> [Double] {
    (0..<count).map { Double(Float(sin(start + 12.9898 * Double($0 + 1)))) }
}

/// Both lists are equal up to `tolerance`, which counts relative to numbers above 1.
func expectClose(
    _ values: [Double], _ expected: [Double], _ tolerance: Double, _ comment: Comment? = nil,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(values.count == expected.count, comment, sourceLocation: sourceLocation)
    let worst = zip(values, expected).map { abs($0 - $1) / max(1, abs($1)) }.max() ?? 0
    #expect(worst <= tolerance, comment, sourceLocation: sourceLocation)
    #expect(values.allSatisfy { $0.isFinite }, comment, sourceLocation: sourceLocation)
}

extension Tensor {
    /// All elements in float64.
    var doubles: [Double] { values(as: Double.self) }
}

extension Parameter {
    /// A trained parameter on the CPU with these values.
    init(_ values: [Double], shape: [Int]) {
        self.init(shape, .zeros, on: .cpu)
        assign(Tensor(values, shape: shape))
    }
}

/// A folder that is removed with its contents when the test is over.
final class TemporaryFolder {
    let path = NSTemporaryDirectory() + "transcend-torch-\(UUID().uuidString)"

    init() throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
