import Foundation
import Models
import Torch

/// The convention of the original SiT code (Ma et al. 2024): time runs from noise (0) to data (1), the velocity points
/// to the data, and half of the outputs (a variance that is not learned) is unused.
///
/// v(x, t) = -f(x, 1 - t): the sign is absorbed by the output layer, and the reversal of time, which is linear in
/// cosines and sines of the timestep, by the first layer of the timestep MLP. The converted weights compute the same up
/// to rounding.
enum OriginalSiT {
    /// Converts a parameter of the original to ours of the same name.
    static func converted(_ name: String, _ tensor: Tensor, _ c: SiTConfiguration) -> Tensor {
        switch name {
        case "final_layer.linear.weight": -usedOutputs(tensor, c).reshaped([c.patchValues, c.hidden])
        case "final_layer.linear.bias": -usedOutputs(tensor, c).reshaped([c.patchValues])
        case "t_embedder.mlp.0.weight": withTimeTurned(tensor)
        default: tensor
        }
    }

    /// The first C channels of [P*P*2C, ...], laid out (row, column, channel): [P*P, C, ...].
    private static func usedOutputs(_ tensor: Tensor, _ c: SiTConfiguration) -> Tensor {
        tensor.reshaped([c.patchSize * c.patchSize, 2 * c.channels, -1]).sliced(0..<c.channels, axis: 1)
    }

    /// Reverses time: cos((1 - t) w) = cos w cos tw + sin w sin tw, sin((1 - t) w) = sin w cos tw - cos w sin tw;
    /// weights [D, 2 F] of F cosines, then F sines.
    private static func withTimeTurned(_ weights: Tensor) -> Tensor {
        let half = weights.size(1) / 2
        let frequencies = (0..<half).map { pow(10000, -Double($0) / Double(half)) }
        let (cosines, sines) = (Tensor(frequencies.map { cos($0) }), Tensor(frequencies.map { sin($0) }))
        let parts = weights.to(.F64).chunked(2, axis: 1)
        let turned = Tensor.concatenate(
            [parts[0] * cosines + parts[1] * sines, parts[0] * sines - parts[1] * cosines], axis: 1)
        return turned.to(weights.type)
    }
}
