import Foundation
import Testing
import Torch

/// All tests of the engine. One at a time, since libtorch already uses every core.
@Suite(.serialized) enum EngineTests {}

/// Numbers between -1 and 1 that float32 holds exactly and that follow no pattern of rows and columns.
func pattern(_ count: Int, _ start: Double = 0) -> [Double] {
    (0..<count).map { Double(Float(sin(start + 12.9898 * Double($0 + 1)))) }
}

extension Parameter {
    /// A trained parameter on the CPU with these values.
    init(_ values: [Double], shape: [Int]) {
        self.init(shape, .zeros, on: .cpu)
        assign(Tensor(values, shape: shape))
    }
}
