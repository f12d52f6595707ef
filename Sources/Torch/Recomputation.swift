import CTorch
import Foundation

/// Activation checkpointing (Chen et al. 2016): the backward pass recomputes parts of a network instead of keeping
/// their activations. It needs less memory for about a third more time, and on the CPU the results are bit-identical.
public enum Recomputation {
    /// Whether it is on in this task: `Recomputation.$isOn.withValue(true) { }`.
    @TaskLocal public static var isOn = false
}

/// Computes `body` of the inputs; if recomputation is on, only the inputs are kept for the backward pass, which
/// computes `body` again.
///
/// `body` returns a fixed number of results and depends only on its inputs and on parameters that do not change before
/// the backward pass is over.
public func recomputing(_ inputs: [Tensor], _ body: @escaping ([Tensor]) -> [Tensor]) -> [Tensor] {
    guard Recomputation.isOn, ct_gradients_enabled(), !Failure.isPending else { return body(inputs) }
    let computed = withoutGradients { body(inputs) }
    guard !Failure.isPending else { return computed }
    let context = Unmanaged.passRetained(Segment(body, inputs: inputs.count))
    var results = [OpaquePointer?](repeating: nil, count: computed.count)
    let status = withExtendedLifetime((inputs, computed)) {
        ct_recomputed(
            { context, inputs, outputs in Segment.run(context!, inputs!, outputs!) },
            context.toOpaque(), { Unmanaged<Segment>.fromOpaque($0!).release() },
            inputs.map(\.handle.raw), Int32(inputs.count), computed.map(\.handle.raw), Int32(computed.count),
            &results)
    }
    Failure.check(status, "recomputation", of: inputs.first)
    return results.map { $0.map { Tensor(owning: $0) } ?? .nothing }
}

/// A body with the task-local settings of its first run: the backward pass may run in another thread.
private final class Segment {
    let body: ([Tensor]) -> [Tensor]
    let inputs: Int
    let precision = Precision.current
    let areFused = Kernels.areFused
    let modulePath = Failure.modulePath

    init(_ body: @escaping ([Tensor]) -> [Tensor], inputs: Int) { (self.body, self.inputs) = (body, inputs) }

    static func run(
        _ context: UnsafeMutableRawPointer, _ inputs: UnsafePointer<OpaquePointer?>,
        _ outputs: UnsafeMutablePointer<OpaquePointer?>
    ) -> UnsafeMutablePointer<CChar>? {
        let segment = Unmanaged<Segment>.fromOpaque(context).takeUnretainedValue()
        do {
            let tensors = (0..<segment.inputs).map { Tensor(owning: inputs[$0]!) }
            for (index, result) in try segment(tensors).enumerated() { outputs[index] = ct_share(result.handle.raw) }
            return nil
        } catch {
            return strdup("\(error)")
        }
    }

    private func callAsFunction(_ tensors: [Tensor]) throws -> [Tensor] {
        try Precision.$current.withValue(precision) {
            try Kernels.$areFused.withValue(areFused) {
                try Recomputation.$isOn.withValue(false) { try withErrors { within(modulePath) { body(tensors) } } }
            }
        }
    }
}
