import Foundation
import Testing
import Torch

/// All tests of the engine. One at a time, since libtorch already uses every core.
@Suite(.serialized) enum EngineTests {}

/// Numbers between -1 and 1 that float32 holds exactly and that follow no pattern of rows and columns.
func pattern(_ count: Int, _ start: Double = 0) -> [Double] {
    (0..<count).map { Double(Float(sin(start + 12.9898 * Double($0 + 1)))) }
}

/// Calls `body` with the places of all numbers of each array; what it writes there is in the arrays afterwards.
func withPointers<Result>(
    to arrays: inout [[Float]], _ body: ([UnsafeMutablePointer<Float>]) throws -> Result
) rethrows -> Result {
    let pointers = arrays.map { array in
        let pointer = UnsafeMutablePointer<Float>.allocate(capacity: array.count)
        pointer.initialize(from: array, count: array.count)
        return pointer
    }
    defer {
        for (index, pointer) in pointers.enumerated() {
            arrays[index] = Array(UnsafeBufferPointer(start: pointer, count: arrays[index].count))
            pointer.deallocate()
        }
    }
    return try body(pointers)
}

/// What a kernel on the CPU has been found doing wrong is a failure.
func expectNoProblem(_ problem: UnsafePointer<CChar>?, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(problem.map { String(cString: $0) } == nil, sourceLocation: sourceLocation)
}

extension Parameter {
    /// A trained parameter on the CPU with these values.
    init(_ values: [Double], shape: [Int]) {
        self.init(shape, .zeros, on: .cpu)
        assign(Tensor(values, shape: shape))
    }
}
