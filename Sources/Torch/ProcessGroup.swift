import CTorch
import Synchronization

/// Processes that add up and exchange tensors: c10d, over Gloo on the CPU and NCCL on CUDA devices.
///
/// All ranks call the same operations in one order, with tensors of equal shapes and types on the group's device. A failure is
/// reported as one of any operation (see `withErrors`); the group cannot be used afterwards.
public final class ProcessGroup: @unchecked Sendable {
    /// This process, from 0.
    public let rank: Int
    /// The number of processes.
    public let size: Int
    /// Where the tensors lie.
    public let device: Device
    /// Whether an operation of it has failed.
    public var hasFailed: Bool { failed.load(ordering: .relaxed) }

    let raw: OpaquePointer
    private let failed = Atomic(false)

    /// Connects `size` ranks with each other, by NCCL on a CUDA `device`, else by Gloo; returns when all have called it. The
    /// `store` is this group's alone. Gloo listens on `address`, one of this host, or on that of a network `interface`.
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

    /// Says that the group is of no use any more. To release it would mean to wait for operations that may never end.
    public func abandon() { failed.store(true, ordering: .relaxed) }

    /// Makes a tensor the sum of those of all ranks, the same bits on each. Of two ranks the sum is that of their order.
    public func sum(_ tensor: Tensor) { check("all-reduce", tensor, ct_group_sum(raw, tensor.handle.raw)) }

    /// Overwrites a tensor with that of one rank.
    public func broadcast(_ tensor: Tensor, from root: Int) {
        check("broadcast", tensor, ct_group_broadcast(raw, tensor.handle.raw, Int32(root)))
    }

    /// The tensors of all ranks, in their order: [ranks, ...].
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
