import Torch

/// The share of work and the device of each process.
extension Launch {
    /// A rank's part of `count` items, divided into equal parts.
    public static func share(of count: Int, rank: Int, size: Int) -> Range<Int> {
        count / size * rank..<count / size * (rank + 1)
    }

    /// The device of this process; among CUDA devices, the one with its local rank. Throws a `ConfigurationError` if
    /// there is none.
    public func device(named name: String) throws -> Device {
        let device = try device(named: name, ofProcess: localRank)
        guard device.kind != .cuda || device.index < Library.cudaDevices else {
            throw ConfigurationError(
                "rank \(rank) is process \(localRank + 1) of its host, which has \(Library.cudaDevices) CUDA devices; start one "
                    + "for each")
        }
        return device
    }

    /// The device of a process on a host, counted from 0, whether it exists or not.
    public func device(named name: String, ofProcess place: Int) throws -> Device {
        let chosen = chooseDevice(name)
        guard chosen.kind == .cuda else { return chosen }
        guard name.contains(":") else { return Device(kind: .cuda, index: place) }
        guard localSize == 1 else {
            throw ConfigurationError(
                "--device \(name): \(localSize) processes on a host would share it; give --device cuda, of which each takes "
                    + "its own")
        }
        return chosen
    }
}
