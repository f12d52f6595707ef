import Torch

/// Overlapping square tiles whose results are blended, as diffusers does with large images
/// (AutoencoderKL.tiled_decode): tiles overlap by a quarter, and are blended linearly there.
///
/// A network whose receptive field exceeds a tile gives different values than on the whole.
struct Tiling {
    /// The side of an input tile, in cells; a multiple of 4.
    let inputSide: Int
    /// The side of an output tile; a multiple of 4 too.
    let outputSide: Int

    private var step: Int { inputSide - inputSide / 4 }
    private var blended: Int { outputSide / 4 }

    /// Applies `body` to [B, C, H, W] tile by tile, or at once if the input is no larger than a tile.
    func map(_ input: Tensor, _ body: (Tensor) -> Tensor) -> Tensor {
        let (height, width) = (input.size(2), input.size(3))
        if height <= inputSide && width <= inputSide { return body(input) }
        var above: [Tensor] = []
        var rows: [Tensor] = []
        for y in stride(from: 0, to: height, by: step) {
            var row: [Tensor] = []
            for x in stride(from: 0, to: width, by: step) {
                var tile = body(
                    input.sliced(y..<y + inputSide, axis: 2).sliced(x..<x + inputSide, axis: 3).contiguous())
                if let upper = above.dropFirst(row.count).first { tile = blend(upper, into: tile, axis: 2) }
                if let left = row.last { tile = blend(left, into: tile, axis: 3) }
                row.append(tile)
            }
            let kept = 0..<outputSide - blended
            rows.append(.concatenate(row.map { $0.sliced(kept, axis: 2).sliced(kept, axis: 3) }, axis: 3))
            above = row
        }
        return .concatenate(rows, axis: 2)
    }

    /// Blends the beginning of `next` along the axis with the end of `previous`.
    private func blend(_ previous: Tensor, into next: Tensor, axis: Int) -> Tensor {
        let width = min(blended, previous.size(axis), next.size(axis))
        var shape = [1, 1, 1, 1]
        shape[axis] = width
        let share = (Tensor.range(width, on: next.device) / Double(width)).reshaped(shape)
        let end = previous.size(axis)
        let old = previous.sliced(end - width..<end, axis: axis)
        let new = next.sliced(0..<width, axis: axis)
        let rest = next.sliced(width..<next.size(axis), axis: axis)
        return .concatenate([old * (1 - share) + new * share, rest], axis: axis)
    }
}
