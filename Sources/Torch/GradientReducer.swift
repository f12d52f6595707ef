import CTorch

/// Sums the gradients of parameters over a process group, in buckets that are sent while the backward pass is still
/// running.
///
/// A bucket is sent when the last of its gradients is ready, so that only the last buckets are waited for. The sums
/// replace the gradients; they are bit-identical on all ranks.
public final class GradientReducer: @unchecked Sendable {
    /// The number of bytes that a rank sends in each step, those of all gradients.
    public let byteCount: Int

    private let group: ProcessGroup
    private let raw: OpaquePointer

    /// The first bucket is small, so that sending begins early (as in PyTorch's DistributedDataParallel).
    private static let firstBucketBytes = 1 << 20

    /// Creates a reducer for the trained ones of `parameters`, in the order in which the forward pass uses them, with
    /// buckets of about `bucketBytes`. Takes as much memory as their gradients.
    public init(_ parameters: [NamedParameter], group: ProcessGroup, bucketBytes: Int) throws {
        let values = parameters.trained.reversed().map { Optional($0.parameter.value.handle.raw) }
        byteCount = 4 * parameters.trained.reduce(0) { $0 + $1.parameter.value.count }
        var reducer: OpaquePointer?
        let first = Int64(min(bucketBytes, Self.firstBucketBytes))
        guard ct_reducer_make(group.raw, values, Int32(values.count), first, Int64(bucketBytes), &reducer) == 0,
            let reducer
        else { throw TorchError(Failure.lastSentence) }
        (self.group, raw) = (group, reducer)
    }

    deinit { ct_reducer_release(raw) }

    /// Declares the next backward pass to be the last one of this step.
    public func begin() { ct_reducer_arm(raw) }

    /// Waits until all gradients are summed; those that no rank has reached become zero.
    public func finish() { group.check("all-reduce of gradients", nil, ct_reducer_finish(raw)) }
}
