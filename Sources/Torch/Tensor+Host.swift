import CTorch
import Formats

/// A Swift type that a tensor's elements can have.
public protocol HostElement {
    /// The corresponding element type.
    static var elementType: ElementType { get }
}

extension Float: HostElement { public static var elementType: ElementType { .F32 } }
extension Double: HostElement { public static var elementType: ElementType { .F64 } }
extension Int: HostElement { public static var elementType: ElementType { .I64 } }
extension Int64: HostElement { public static var elementType: ElementType { .I64 } }
extension Int32: HostElement { public static var elementType: ElementType { .I32 } }
extension UInt8: HostElement { public static var elementType: ElementType { .U8 } }

/// Transfers between tensors and host memory.
extension Tensor {
    /// Creates a tensor on the CPU with a copy of `values`, as many as `shape` holds, row by row.
    public init<Element: HostElement>(_ values: [Element], shape: [Int]) {
        precondition(values.count == shape.reduce(1, *), "\(values.count) values do not fill \(shape)")
        self = values.withUnsafeBytes { Tensor(copying: $0, type: Element.elementType, shape: shape) }
    }

    /// Creates a vector on the CPU.
    public init<Element: HostElement>(_ values: [Element]) {
        self.init(values, shape: [values.count])
    }

    /// Creates a tensor on the CPU with a copy of raw elements, exactly as many bytes as type and shape need.
    public init(copying bytes: UnsafeRawBufferPointer, type: ElementType, shape: [Int]) {
        self = .empty(shape, type)
        guard !Failure.isPending else { return }
        precondition(bytes.count == count * type.byteCount, "\(bytes.count) bytes do not fill \(shape) of \(type)")
        // Empty memory has no address.
        guard !bytes.isEmpty, let source = bytes.baseAddress, let target = ct_data(handle.raw) else { return }
        target.copyMemory(from: source, byteCount: bytes.count)
    }

    /// Creates a tensor on the CPU that reads `bytes` in place and keeps `owner` alive; the memory must not be written
    /// to.
    public init(viewing bytes: UnsafeRawBufferPointer, type: ElementType, shape: [Int], owner: AnyObject) {
        var result: OpaquePointer?
        let context = Unmanaged.passRetained(owner)
        let status = ct_from_memory(
            UnsafeMutableRawPointer(mutating: bytes.baseAddress), shape.map { Int64($0) }, Int32(shape.count),
            type.torchCode, { Unmanaged<AnyObject>.fromOpaque($0!).release() }, context.toOpaque(), &result)
        if status != 0 {
            context.release()
            Failure.report("view of memory", [shape], Failure.lastMessage)
        }
        self = result.map { Tensor(owning: $0) } ?? .nothing
    }

    /// Calls `body` with the elements in host memory, row by row; they are copied first if necessary.
    public func withHostBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        let host = to(.cpu).contiguous()
        return try withExtendedLifetime(host) {
            try body(UnsafeRawBufferPointer(start: ct_data(host.handle.raw), count: host.count * host.type.byteCount))
        }
    }

    /// All elements, row by row, converted to `Element`.
    public func values<Element: HostElement>(as _: Element.Type = Element.self) -> [Element] {
        to(Element.elementType).withHostBytes { Array($0.bindMemory(to: Element.self)) }
    }

    /// The single element as a number; waits for the device.
    public func item() -> Double {
        guard !Failure.isPending else { return 0 }
        guard count == 1 else {
            Failure.report("item", [shape], "only a tensor with one element is a number")
            return 0
        }
        return values(as: Double.self)[0]
    }
}
