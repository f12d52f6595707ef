import Formats
import Foundation

/// The position of this process among those launched together, according to the environment set by torchrun, SLURM's
/// srun, OpenMPI's mpirun or by hand.
public struct Launch: Sendable, Equatable {
    /// The rank of this process, from 0; rank 0 prints and writes.
    public var rank: Int
    /// The number of processes.
    public var size: Int
    /// The rank of this process on its host, from 0, which selects its CUDA device.
    public var localRank: Int
    /// The number of processes on this host.
    public var localSize: Int
    /// The host on which rank 0 serves the key-value store by which processes find each other.
    public var address: String
    /// The port of the store.
    public var port: Int
    /// Whether torchrun already serves the store.
    public var isServed = false
    /// The network interface for Gloo; nil for the one toward `address`.
    public var interface: String?

    /// Reads the environment; nil for a single process. Throws a `ConfigurationError` that names the variables that are
    /// missing or contradict each other.
    public init?(environment: [String: String] = ProcessInfo.processInfo.environment) throws {
        let values = environment.filter { !$0.value.isEmpty }
        guard let names = try Self.names(in: values) else { return nil }
        func number(_ name: String, _ range: ClosedRange<Int>) throws -> Int {
            guard let number = values[name].flatMap({ Int($0) }), range.contains(number) else {
                throw ConfigurationError(
                    "\(name)=\(values[name] ?? ""): a number from \(range.lowerBound) to \(range.upperBound) is expected"
                )
            }
            return number
        }
        size = try number(names.size, 1...1 << 20)
        rank = try number(names.rank, 0...size - 1)
        let place = (values[names.localRank], names.tasksPerHost ?? values[names.localSize])
        switch place {
        case (nil, nil): (localRank, localSize) = (0, 1)
        case (nil, _):
            localSize = try number(names.localSize, 1...size)
            // On one host the local rank is the rank; on several it is not known which ranks share a host.
            guard localSize == size || localSize == 1 else {
                throw Self.missing(names.localRank, beside: names.localSize)
            }
            localRank = localSize == 1 ? 0 : rank
        case (_, nil): throw Self.missing(names.localSize, beside: names.localRank)
        case (_, let tasks?):
            localRank = try number(names.localRank, 0...size - 1)
            localSize =
                try names.tasksPerHost == nil
                ? number(names.localSize, 1...size)
                : Self.tasks(tasks, ofHost: Int(values["SLURM_NODEID"] ?? "") ?? 0)
        }
        guard localRank < localSize else {
            throw ConfigurationError(
                "\(names.localRank)=\(localRank) and \(names.localSize)=\(localSize) contradict each other")
        }
        if size == 1 { return nil }
        port = try values["MASTER_PORT"] == nil ? Self.defaultPort : number("MASTER_PORT", 1...65535)
        let named = values["MASTER_ADDR"] ?? names.firstHost
        guard let address = named ?? (localSize == size ? "127.0.0.1" : nil) else {
            throw ConfigurationError(
                "MASTER_ADDR is missing: give the address of the host of rank 0 to all \(size) processes")
        }
        self.address = address
        isServed = values["TORCHELASTIC_USE_AGENT_STORE"] == "True"
        interface = values["GLOO_SOCKET_IFNAME"]
    }

    private static func missing(_ name: String, beside other: String) -> ConfigurationError {
        ConfigurationError("\(other) is set and \(name) is missing: give both, or none for one process on each host")
    }

    /// The default port of PyTorch's launchers.
    private static let defaultPort = 29500

    /// The environment variables of a launcher.
    private struct Names {
        var rank: String, size: String, localRank: String, localSize: String
        /// The host of rank 0, if the launcher provides it.
        var firstHost: String?
        /// SLURM's list of the number of processes per host.
        var tasksPerHost: String?
    }

    private static func names(in values: [String: String]) throws -> Names? {
        let torch = Names(rank: "RANK", size: "WORLD_SIZE", localRank: "LOCAL_RANK", localSize: "LOCAL_WORLD_SIZE")
        if values["RANK"] != nil || values["WORLD_SIZE"] != nil {
            for name in [torch.rank, torch.size] where values[name] == nil {
                let other = name == torch.rank ? torch.size : torch.rank
                throw ConfigurationError("\(other) is set and \(name) is missing: give both, or none for one process")
            }
            return torch
        }
        // In a batch script, outside of srun, SLURM sets no step variables: that process is alone.
        let slurm = Names(
            rank: "SLURM_PROCID", size: "SLURM_STEP_NUM_TASKS", localRank: "SLURM_LOCALID",
            localSize: "SLURM_STEP_TASKS_PER_NODE", firstHost: values["SLURM_STEP_NODELIST"].map(firstHost),
            tasksPerHost: values["SLURM_STEP_TASKS_PER_NODE"])
        if values[slurm.rank] != nil, values[slurm.size] != nil { return slurm }
        let mpi = Names(
            rank: "OMPI_COMM_WORLD_RANK", size: "OMPI_COMM_WORLD_SIZE", localRank: "OMPI_COMM_WORLD_LOCAL_RANK",
            localSize: "OMPI_COMM_WORLD_LOCAL_SIZE")
        return values[mpi.rank] != nil && values[mpi.size] != nil ? mpi : nil
    }

    /// The number for a host, counted from 0, in a SLURM list such as "4(x2),3"; 1 if it has none.
    static func tasks(_ list: String, ofHost host: Int) -> Int {
        let counts = list.split(separator: ",").flatMap { item -> [Int] in
            let numbers = item.split { !$0.isNumber }.compactMap { Int($0) }
            return Array(repeating: numbers.first ?? 1, count: min(numbers.dropFirst().first ?? 1, 1 << 20))
        }
        return counts.indices.contains(host) ? counts[host] : 1
    }

    /// The first name of a SLURM list such as "node[03-05,9],gpu1".
    static func firstHost(_ list: String) -> String {
        guard let open = list.firstIndex(of: "["), !list[..<open].contains(",") else {
            return String(list.prefix { $0 != "," })
        }
        let digits = list[list.index(after: open)...].prefix { $0.isNumber }
        let rest = list[open...].drop { $0 != "]" }.dropFirst().prefix { $0 != "," }
        return String(list[..<open] + digits + rest)
    }
}
