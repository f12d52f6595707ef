import CTorch
import Formats

/// Owns one reference to a libtorch tensor, which ARC releases. `@unchecked` because a raw pointer is never `Sendable`
/// by itself: the reference count behind it is atomic. Copies share their storage, and in-place operations on it are
/// not synchronised: nobody may change a tensor that another thread uses.
final class Handle: @unchecked Sendable {
    let raw: OpaquePointer

    init(_ raw: OpaquePointer) {
        self.raw = raw
    }

    deinit { ct_release(raw) }
}

/// A multi-dimensional array on a device, differentiable if a gradient was requested.
///
/// A tensor behaves like a value: operations return new tensors. In-place operations are `mutating` methods and the
/// optimisers; they change the storage that every copy of the handle shares, as in PyTorch.
public struct Tensor: Sendable {
    let handle: Handle

    /// Takes ownership of one reference. The only place where handles are wrapped.
    init(owning raw: OpaquePointer) {
        handle = Handle(raw)
    }

    /// The number of live tensors in the process, counted where handles are created and released.
    public static var liveHandles: Int { Int(ct_live_handles()) }

    /// The number of axes.
    public var rank: Int { Int(ct_rank(handle.raw)) }

    /// The length of every axis.
    public var shape: [Int] { (0..<ct_rank(handle.raw)).map { Int(ct_size(handle.raw, $0)) } }

    /// The length of one axis, which the tensor must have; negative axes count from the end.
    public func size(_ axis: Int) -> Int {
        let rank = rank
        let index = axis < 0 ? axis + rank : axis
        guard (0..<rank).contains(index) else {
            if !Failure.isPending { Failure.report("size(\(axis))", [shape], "the tensor has no such axis") }
            return 1
        }
        return Int(ct_size(handle.raw, Int32(index)))
    }

    /// The number of elements.
    public var count: Int { shape.reduce(1, *) }

    /// The type of the elements.
    public var type: ElementType { ElementType(torchCode: ct_type(handle.raw)) }

    /// The device on which the elements are stored.
    public var device: Device {
        var kind: Int32 = 0
        var index: Int32 = 0
        ct_device(handle.raw, &kind, &index)
        return Device(kind: Device.Kind(rawValue: kind) ?? .cpu, index: max(0, Int(index)))
    }
}

extension Tensor: CustomStringConvertible {
    public var description: String { "Tensor(\(type), \(shape), \(device))" }
}

extension ElementType {
    /// The numbers of c10::ScalarType.
    private static let torchCodes: [(ElementType, Int32)] = [
        (.U8, 0), (.I8, 1), (.I16, 2), (.I32, 3), (.I64, 4), (.F16, 5), (.F32, 6), (.F64, 7), (.BOOL, 11), (.BF16, 15),
        (.C64, 9), (.F8_E5M2, 23), (.F8_E4M3, 24), (.U16, 27), (.U32, 28), (.U64, 29),
    ]

    var torchCode: Int32 { Self.torchCodes.first { $0.0 == self }!.1 }

    init(torchCode: Int32) {
        guard let known = Self.torchCodes.first(where: { $0.1 == torchCode }) else {
            preconditionFailure("libtorch returned an element type that nothing here asks for: \(torchCode)")
        }
        self = known.0
    }
}
