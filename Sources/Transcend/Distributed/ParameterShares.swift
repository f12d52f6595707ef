import Torch

/// The sharding of averages and moments over ranks: each holds those of consecutive parameters, with about the same
/// number of elements (the first stage of ZeRO, Rajbhandari et al. 2020).
struct ParameterShares {
    /// The range of each rank in the list of all parameters.
    let ranges: [Range<Int>]

    init(_ parameters: [NamedParameter], ranks: Int) {
        let counts = parameters.map(\.parameter.value.count)
        let total = max(1, counts.reduce(0, +))
        var before = 0
        // A parameter belongs to the rank whose part of all elements contains its middle.
        let owners = counts.map { count in
            defer { before += count }
            return min(ranks - 1, (before + count / 2) * ranks / total)
        }
        ranges = (0..<ranks).map { rank in
            (owners.firstIndex { $0 >= rank } ?? owners.count)..<(owners.firstIndex { $0 > rank } ?? owners.count)
        }
    }

    /// Overwrites tensors, one for each parameter, with those of the rank that holds them.
    func exchange(_ tensors: [Tensor], in world: World) throws {
        _ = try world.together { group in
            for (rank, range) in ranges.enumerated() {
                let part = tensors[range]
                let count = part.reduce(0) { $0 + $1.count }
                if count == 0 { continue }
                let flat =
                    rank == world.rank
                    ? Tensor.concatenate(part.map { $0.flattened() }) : .empty([count], on: group.device)
                group.broadcast(flat, from: rank)
                if rank == world.rank { continue }
                var offset = 0
                for var tensor in part {
                    tensor.assign(flat.sliced(offset..<offset + tensor.count, axis: 0).reshaped(tensor.shape))
                    offset += tensor.count
                }
            }
        }
    }
}
