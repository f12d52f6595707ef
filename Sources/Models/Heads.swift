import Torch

/// A token-wise MLP with SiLU in between: D -> width -> width -> outputs. Published width: 2048.
public struct Projector: Module {
    let layers: [Linear]

    /// Builds a projector with hidden layers of `width`, without setting its parameters.
    public init(_ inputs: Int, width: Int, outputs: Int, on device: Device) {
        layers = [(inputs, width), (width, width), (width, outputs)].map { Linear($0.0, $0.1, on: device) }
    }

    public func walk(_ visit: inout Walk) {
        for (index, layer) in layers.enumerated() { visit("\(2 * index)", layer) }
    }

    /// Projects [..., inputs] -> [..., outputs].
    public func callAsFunction(_ x: Tensor) -> Tensor {
        within("projectors") { layers[2](layers[1](layers[0](x).silu()).silu()) }
    }
}

/// SRA's head: D -> 2 D -> D with SiLU in between; `ap_head` in published checkpoints.
public struct SRAHead: Module {
    let first: Linear
    let second: Linear

    /// Builds the head without setting its parameters.
    public init(_ hidden: Int, on device: Device) {
        (first, second) = (Linear(hidden, 2 * hidden, on: device), Linear(2 * hidden, hidden, on: device))
    }

    public func walk(_ visit: inout Walk) {
        visit("linear1", first)
        visit("linear2", second)
    }

    /// Applies the head: [..., D] -> [..., D].
    public func callAsFunction(_ x: Tensor) -> Tensor { within("ap_head") { second(first(x).silu()) } }
}

/// Stage 1's head: projector D -> D, LayerNorm without weight and bias (epsilon 1e-6), linear to patches, unpatchify.
public struct LatentHead: Module {
    let projector: Projector
    let final: Linear
    let patch: Int

    /// Builds the head for a network's hidden size, patches and channels, without setting its parameters.
    public init(_ network: SiTConfiguration, width: Int, on device: Device) {
        projector = Projector(network.hidden, width: width, outputs: network.hidden, on: device)
        final = Linear(network.hidden, network.patchValues, on: device)
        patch = network.patchSize
    }

    public func walk(_ visit: inout Walk) {
        visit("projectors", projector)
        visit("projectors_final.linear", final)
    }

    /// Predicts from tokens [B, N, D] -> [B, C, R, R].
    public func callAsFunction(_ tokens: Tensor) -> Tensor {
        let hidden = projector(tokens).layerNormalized(epsilon: 1e-6)
        return within("projectors_final") { unpatchified(final(hidden), patch: patch) }
    }
}
