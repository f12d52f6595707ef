import Diffusion
import Models
import TestSupport
import Testing
import Torch

/// All tests of networks, objectives and samplers. One at a time, since libtorch already uses every core.
@Suite(.serialized) enum MethodTests {}

/// A network of three blocks that takes a millisecond.
let small: SiTConfiguration = {
    var c = SiTConfiguration()
    (c.inputSize, c.patchSize, c.channels, c.hidden, c.depth, c.heads, c.classes) = (4, 2, 2, 8, 3, 2, 3)
    return c
}()

/// Sizes of the features of two encoders.
let encoderWidths = [6, 3]

/// A network whose parameters are all random, so that no gate is closed. Different names give different ones.
func randomNetwork(_ name: String, _ configuration: SiTConfiguration = small) -> SiT {
    let network = SiT(configuration)
    network.initialise(stage: name, seed: 0)
    network.scatter(name)
    return network
}

extension Module {
    /// Sets every trained parameter to normal numbers of deviation 0.3.
    func scatter(_ name: String) {
        for entry in parameters() where entry.parameter.isTrained {
            let shape = entry.parameter.value.shape
            let item = Draws.item(stage: name, parameter: entry.name)
            let values = Initializer.normal(deviation: 0.3).values(shape, Draws(seed: 1), item)
            entry.parameter.assign(Tensor(values, shape: shape))
        }
    }

    /// The parameter of that name, which must exist.
    func parameter(_ name: String) -> Parameter { parameters().first { $0.name == name }!.parameter }

    /// The gradients by name, and removes them.
    func takeGradients() -> [String: [Double]] {
        let all = parameters()
        defer { all.removeGradients() }
        return Dictionary(
            uniqueKeysWithValues: all.compactMap { entry in
                entry.parameter.value.gradient.map { (entry.name, $0.doubles) }
            })
    }
}

extension Tensor {
    /// Standard normal numbers, different for each item.
    static func normal(_ shape: [Int], item: Int) -> Tensor {
        let count = shape.reduce(1, *)
        return Tensor(Draws(seed: 5).normals(.noise, step: 0, item: item, count: count), shape: shape)
    }
}

/// Random samples of the small network's shape at these times, with features of two encoders. Labels go round; every third
/// one is dropped.
func batch(at times: [Float]) -> Batch {
    let count = times.count
    let shape = [count, small.channels, small.inputSize, small.inputSize]
    let labels = (0..<count).map { $0 % small.classes }
    return Batch(
        clean: .normal(shape, item: 0), noise: .normal(shape, item: 1), times: times, labels: Tensor(labels),
        seenLabels: Tensor(labels.enumerated().map { $0 % 3 == 2 ? small.classes : $1 }),
        uniforms: (0..<count).map { (Float($0) + 0.5) / Float(count) },
        targets: encoderWidths.map { .normal([count, small.tokens, $0], item: 2 + $0) })
}

extension Batch {
    /// A part that knows of the whole.
    func part(_ range: Range<Int>) -> Batch {
        Batch(
            clean: clean[range], noise: noise[range], times: Array(times[range]), globalTimes: times,
            labels: labels[range], seenLabels: seenLabels[range], uniforms: Array(uniforms[range]),
            targets: targets.map { $0[range] })
    }
}

/// Mean squared differences of each sample, in float64.
func squaredErrors(_ a: Tensor, _ b: Tensor) -> [Double] {
    let squares = zip(a.doubles, b.doubles).map { ($0 - $1) * ($0 - $1) }
    let size = a.count / a.size(0)
    return stride(from: 0, to: squares.count, by: size).map { squares[$0..<$0 + size].reduce(0, +) / Double(size) }
}
