import Testing
import Torch

/// Both lists are finite and equal up to `tolerance`, which counts relative to numbers above 1.
public func expectClose(
    _ values: [Double], _ expected: [Double], _ tolerance: Double, _ comment: Comment? = nil,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(values.count == expected.count, comment, sourceLocation: sourceLocation)
    let worst = zip(values, expected).map { abs($0 - $1) / max(1, abs($1)) }.max() ?? 0
    #expect(worst <= tolerance, comment, sourceLocation: sourceLocation)
    #expect(values.allSatisfy { $0.isFinite }, comment, sourceLocation: sourceLocation)
}

extension Tensor {
    /// All elements in float64, row by row.
    public var doubles: [Double] { values(as: Double.self) }
}
