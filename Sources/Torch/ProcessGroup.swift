import CTorch
import Synchronization

/// A group of processes that sum and exchange tensors, by c10d over Gloo on the CPU and NCCL on CUDA devices.
///
/// All ranks call the same operations in the same order, with tensors of equal shapes and types on the group's device.
/// A failure is reported like that of any operation (see `withErrors`); the group cannot be used afterwards.
public final class ProcessGroup: @unchecked Sendable {
    /// The rank of this process, from 0.
    public let rank: Int
    /// The number of processes.
    public let size: Int
    /// The device of the tensors.
    public let device: Device
    /// Whether one of its operations has failed.
    public var hasFailed: Bool { failed.load(ordering: .relaxed) }

    let raw: OpaquePointer
    private let failed = Atomic(false)

    /// Connects `size` ranks with each other, by NCCL on a CUDA `device`, otherwise by Gloo; returns when all have
    /// called it. The `store` is for this group's exclusive use. Gloo listens on `address`, one of this host, or on the
    /// address of a network `interface`.
    public init(
        store: KeyValueStore, rank: Int, size: Int, address: String, interface: String? = nil, device: Device
    ) throws {
        var group: OpaquePointer?
        let status =
            device.kind == .cuda
            ? ct_group_nccl(store.raw, Int32(rank), Int32(size), Int32(device.index), &group)
            : ct_group_gloo(store.raw, Int32(rank), Int32(size), address, interface, &group)
        guard status == 0, let group else { throw TorchError(Failure.lastSentence) }
        (self.rank, self.size, self.device, raw) = (rank, size, device, group)
    }

    deinit { if !hasFailed { ct_group_release(raw) } }

    /// Marks the group as unusable. Releasing it would mean waiting for operations that may never end.
    public func abandon() { failed.store(true, ordering: .relaxed) }

    /// Replaces a tensor by the sum over all ranks, bit-identical on each. With two ranks they are summed in rank
    /// order.
    public func sum(_ tensor: Tensor) { check("all-reduce", tensor, ct_group_sum(raw, tensor.handle.raw)) }

    /// Overwrites a tensor with the `root` rank's.
    public func broadcast(_ tensor: Tensor, from root: Int) {
        check("broadcast", tensor, ct_group_broadcast(raw, tensor.handle.raw, Int32(root)))
    }

    /// Gathers the tensors of all ranks, in rank order: [ranks, ...].
    public func gather(_ tensor: Tensor) -> Tensor {
        let own = tensor.contiguous()
        let all = Tensor.zeros([size] + own.shape, own.type, on: own.device)
        check("all-gather", own, ct_group_gather(raw, own.handle.raw, all.handle.raw))
        return all
    }

    func check(_ operation: StaticString, _ operand: Tensor?, _ status: Int32) {
        if status != 0 { failed.store(true, ordering: .relaxed) }
        Failure.check(status, operation, of: operand)
    }
}
