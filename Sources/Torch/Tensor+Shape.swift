import CTorch
import Formats

private enum Op {
    static let reshape = Operator("reshape")
    static let flatten = Operator("flatten", "using_ints")
    static let transpose = Operator("transpose", "int")
    static let permute = Operator("permute")
    static let unsqueeze = Operator("unsqueeze")
    static let select = Operator("select", "int")
    static let slice = Operator("slice", "Tensor")
    static let indexSelect = Operator("index_select")
    static let unbind = Operator("unbind", "int")
    static let chunk = Operator("chunk")
    static let contiguous = Operator("contiguous")
    static let clone = Operator("clone")
    static let detach = Operator("detach")
    static let to = Operator("to", "dtype")
    static let toDevice = Operator("to", "dtype_layout")
    static let pin = Operator("pin_memory")
    static let copy = Operator("copy_")
}

/// Changes of shape, type and device.
extension Tensor {
    /// The same elements, row by row, in another shape; one length may be -1.
    public func reshaped(_ shape: [Int]) -> Tensor { Op.reshape(self, shape) }

    /// Flattens the axes `first ... last` into one.
    public func flattened(from first: Int = 0, to last: Int = -1) -> Tensor { Op.flatten(self, first, last) }

    /// Swaps two axes; negative ones count from the end. Shares the elements.
    public func transposed(_ a: Int, _ b: Int) -> Tensor { Op.transpose(self, a, b) }

    /// Permutes the axes: axis i of the result is axis `order[i]`.
    public func permuted(_ order: [Int]) -> Tensor { Op.permute(self, order) }

    /// Adds a new axis of length 1.
    public func expandingAxis(_ axis: Int) -> Tensor { Op.unsqueeze(self, axis) }

    /// The element `index` of the first axis, without that axis.
    public subscript(index: Int) -> Tensor { Op.select(self, 0, index) }

    /// The elements `bounds` of the first axis.
    public subscript(bounds: Range<Int>) -> Tensor { sliced(bounds, axis: 0) }

    /// The elements `bounds` of one axis; bounds beyond its end are cut off.
    public func sliced(_ bounds: Range<Int>, axis: Int) -> Tensor {
        Op.slice(self, axis, bounds.lowerBound, bounds.upperBound)
    }

    /// Gathers the elements of an axis with the given indices, an int64 vector on the same device.
    public func gathering(_ indices: Tensor, axis: Int = 0) -> Tensor { Op.indexSelect(self, axis, indices) }

    /// The slices of an axis of length `count`, without that axis.
    public func unbound(_ count: Int, axis: Int) -> [Tensor] {
        guard count == size(axis) else {
            if !Failure.isPending { Failure.report("unbind", [shape], "axis \(axis) has not \(count) slices") }
            return [Tensor](repeating: .nothing, count: count)
        }
        let parts = Op.unbind.list(self, axis, capacity: count)
        return parts.count == count ? parts : [Tensor](repeating: .nothing, count: count)
    }

    /// `count` equal parts along an axis, whose length `count` must divide.
    public func chunked(_ count: Int, axis: Int) -> [Tensor] {
        let length = size(axis)
        guard count > 0, length % count == 0 else {
            if !Failure.isPending { Failure.report("chunk", [shape], "\(count) equal parts do not make \(length)") }
            return [Tensor](repeating: .nothing, count: max(1, count))
        }
        let parts = Op.chunk.list(self, count, axis, capacity: count)
        return parts.count == count ? parts : [Tensor](repeating: .nothing, count: count)
    }

    /// The tensor itself, or a copy in contiguous row-major order.
    public func contiguous() -> Tensor { Op.contiguous(self) }

    /// The tensor itself, or a copy of [B, C, H, W] in channels-last memory format, which convolutions preserve.
    public func channelsLast() -> Tensor { Op.contiguous(self, 2) }

    /// A copy with storage of its own.
    public func copied() -> Tensor { Op.clone(self) }

    /// The same elements, detached from the autograd graph.
    public func detached() -> Tensor { Op.detach(self) }

    /// The tensor itself, or its elements converted.
    public func to(_ type: ElementType) -> Tensor { type == self.type ? self : Op.to(self, type) }

    /// The tensor itself, or a copy on another device. Copies to CUDA go through pinned memory and are queued after the
    /// device's pending work, so the host does not wait.
    public func to(_ device: Device) -> Tensor {
        if device == self.device { return self }
        let isUpload = device.kind == .cuda && self.device == .cpu
        return Op.toDevice(isUpload ? Op.pin(self) : self, none, none, device, none, isUpload)
    }

    /// Overwrites the elements with those of `source`, converted and moved as needed; shapes must broadcast.
    public mutating func assign(_ source: Tensor) {
        let target = self
        withoutGradients { Op.copy.run(target, source) }
    }
}
