import Foundation
import Torch

/// The processes that do one piece of work together; often this one alone.
public final class World: Ranks {
    /// This process, from 0. Rank 0 writes and prints.
    public let rank: Int
    /// The number of processes.
    public let size: Int
    /// How this process was started with others; nil where it is alone.
    public let launch: Launch?

    let group: ProcessGroup?
    let watch: RankWatch?
    private let store: KeyValueStore?

    /// A process without others.
    public static let alone = World()

    /// Whether this process is the one that writes and prints.
    public var isFirst: Bool { rank == 0 }

    private init() { (rank, size, launch, group, watch, store) = (0, 1, nil, nil, nil, nil) }

    /// Runs `body` in the world that the environment tells of, and leaves it.
    ///
    /// - Parameters:
    ///   - launch: how this process was started with others; nil where it is alone.
    ///   - device: by name, as `chooseDevice` has it: which kind of group it is.
    ///   - timeout: seconds after which a rank that does not come, answer or get on ends the others too.
    ///   - body: the work, which gets the world.
    ///
    /// Throws a `ConfigurationError` where the environment or the network does not allow it, a `RankFailure` that names a rank
    /// that ended, and what `body` throws, after the other ranks have been told.
    public static func join<Result>(
        _ launch: Launch?, device: String, timeout: Double, _ body: (World) throws -> Result
    ) throws -> Result {
        guard let launch else { return try body(.alone) }
        shareThreads(launch)
        let world = try World(launch, device: try launch.device(named: device), timeout: timeout)
        do {
            let result = try body(world)
            world.leave(timeout: timeout)
            return result
        } catch {
            world.leave(after: error)
            throw error
        }
    }

    private init(_ launch: Launch, device: Device, timeout: Double) throws {
        (rank, size, self.launch) = (launch.rank, launch.size, launch)
        // c10d warns on stderr of hosts without a name and of each try to connect.
        setenv("TORCH_CPP_LOG_LEVEL", "ERROR", 0)
        let isServer = launch.rank == 0 && !launch.isServed
        let listening = isServer ? try NetworkAddress.listen(host: launch.address, port: launch.port) : nil
        func connect(_ prefix: String, serving: Int32? = nil) throws -> KeyValueStore {
            do {
                return try KeyValueStore(
                    host: launch.address, port: launch.port, listening: serving, prefix: prefix, timeout: timeout)
            } catch let error as TorchError {
                throw ConfigurationError(
                    "rank \(launch.rank) of \(launch.size): the store of rank 0 does not answer at "
                        + "MASTER_ADDR=\(launch.address), MASTER_PORT=\(launch.port) (\(error)); start all ranks, and "
                        + "open the port in firewalls")
            }
        }
        let prefix = "transcend/\(launch.attempt)"
        let store = try connect(prefix, serving: listening)
        self.store = store
        // First of all ranks, which may come late; then a group does not wait for one that is not there.
        try Self.meet(launch, store, timeout: timeout)
        let place = launch.isServed ? "torchrun's store" : "rank 0 of \(launch.size), which serves the store,"
        watch = RankWatch(
            store: try connect(prefix), rank: launch.rank, size: launch.size, timeout: timeout,
            storePlace: "\(place) at \(launch.address), port \(launch.port)")
        do {
            group = try ProcessGroup(
                store: connect(prefix + "/group"), rank: launch.rank, size: launch.size,
                address: NetworkAddress.own(toward: launch.address, port: launch.port), interface: launch.interface,
                device: device)
        } catch {
            watch?.stop()
            throw error
        }
    }

    /// Waits until all ranks have come.
    private static func meet(_ launch: Launch, _ store: KeyValueStore, timeout: Double) throws {
        try store.set("come/\(launch.rank)", "")
        let end = ProgressLine.monotonicSeconds() + timeout
        var missing = Array(0..<launch.size)
        while true {
            missing = try missing.filter { try store.text("come/\($0)") == nil }
            if missing.isEmpty { return }
            guard ProgressLine.monotonicSeconds() < end else {
                let names = missing.prefix(8).map(String.init).joined(separator: ", ")
                throw ConfigurationError(
                    "rank \(launch.rank) of \(launch.size): no sign of rank \(names)\(missing.count > 8 ? ", ..." : "") "
                        + "after \(readableNumber(timeout)) s; start all \(launch.size) ranks")
            }
            Thread.sleep(forTimeInterval: 0.02)
        }
    }

    /// The processes of one host share its cores, unless told otherwise.
    private static func shareThreads(_ launch: Launch) {
        guard ProcessInfo.processInfo.environment["OMP_NUM_THREADS"] == nil else { return }
        Library.setThreads(max(1, ProcessInfo.processInfo.activeProcessorCount / launch.localSize))
    }

    private func leave(timeout: Double) {
        watch?.finish()
        if serves { watch?.waitForOthers(atMost: timeout) }
        watch?.stop()
    }

    private func leave(after error: any Error) {
        group?.abandon()
        if !(error is RankFailure) { watch?.announce("\(error)") }
        if serves { watch?.waitForOthers(atMost: 5) }
        watch?.stop()
    }

    /// Whether the store ends with this process.
    private var serves: Bool { isFirst && launch?.isServed == false }

    // MARK: - What ranks do together

    /// Runs operations of the group; throws a `RankFailure` where another rank has failed.
    func together<Result>(_ body: (ProcessGroup) throws -> Result) throws -> Result? {
        guard let group, let watch else { return nil }
        return try watch.during(.wait) {
            do {
                return try withErrors { try body(group) }
            } catch {
                throw group.hasFailed ? watch.explain(error) : error
            }
        }
    }

    /// Sums over all ranks, of numbers of each.
    func sum(_ values: [Double]) throws -> [Double] {
        try together { group in
            let tensor = Tensor(values).to(group.device)
            group.sum(tensor)
            return tensor.values(as: Double.self)
        } ?? values
    }

    /// What each rank has given, in their order.
    public func gather(_ bytes: [UInt8]) throws -> [[UInt8]] {
        try together { group in
            let counts = group.gather(Tensor([bytes.count]).to(group.device)).values(as: Int.self)
            let padded = bytes + [UInt8](repeating: 0, count: max(1, counts.max() ?? 1) - bytes.count)
            let all = group.gather(Tensor(padded, shape: [padded.count]).to(group.device)).values(as: UInt8.self)
            return counts.enumerated().map { rank, count in
                Array(all[rank * padded.count..<rank * padded.count + count])
            }
        } ?? [bytes]
    }

    /// Whether it is so on any rank.
    func any(_ value: Bool) throws -> Bool { try sum([value ? 1 : 0])[0] > 0 }

    /// Waits until all ranks are here.
    public func barrier() throws { _ = try sum([0]) }

    /// Runs `body` on rank 0, then on the others.
    public func firstThenOthers<Result>(_ body: () throws -> Result) throws -> Result {
        if !isFirst { try barrier() }
        let result = try body()
        if isFirst { try barrier() }
        return result
    }

    /// Runs `body`, which may take long without telling how it gets on; only whether the rank is alive is watched meanwhile.
    func readingOrWriting<Result>(_ body: () throws -> Result) throws -> Result {
        try watch?.during(.files, body) ?? body()
    }

    /// Throws a `ConfigurationError` on all ranks if one of them knows something else than rank 0, saying which and what.
    public func agree(on facts: [(name: String, value: String)], topic: String) throws {
        guard size > 1 else { return }
        let all = try gather(Array(facts.map { "\($0.name)\t\($0.value)" }.joined(separator: "\n").utf8)).map {
            String(decoding: $0, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        }
        guard let other = all.firstIndex(where: { $0 != all[0] }) else { return }
        // Each rank says it for itself, so that none leaves before the others know.
        try leave(note: "compared \(topic)", "")
        for rank in 0..<size { _ = try? note(from: rank, "compared \(topic)") }
        let pair = zip(all[0], all[other]).first { $0 != $1 } ?? (all[0].last ?? "", all[other].last ?? "")
        let (mine, theirs) = (pair.0.split(separator: "\t"), pair.1.split(separator: "\t"))
        throw ConfigurationError(
            "rank \(other) of \(size) differs from rank 0: \(mine.first ?? "") is \(theirs.last ?? "") there, "
                + "\(mine.last ?? "") on rank 0; start all ranks alike")
    }

    /// Leaves a text for the other ranks, from any thread.
    func leave(note: String, _ text: String) throws { try store?.set("note/\(rank)/\(note)", text) }

    /// Waits for the text that a rank leaves, in any thread; throws a `RankFailure` if a rank fails meanwhile.
    func note(from rank: Int, _ note: String) throws -> String {
        while true {
            if let text = try store?.text("note/\(rank)/\(note)") { return text }
            try watch?.throwFailure()
            Thread.sleep(forTimeInterval: 0.02)
        }
    }

    /// The part of a whole that is this rank's, of equal parts.
    func share(of count: Int) -> Range<Int> { count / size * rank..<count / size * (rank + 1) }
}

extension Launch {
    /// The device of this process: of CUDA devices that of its place on the host. Throws a `ConfigurationError` if there is none.
    public func device(named name: String) throws -> Device {
        let chosen = chooseDevice(name)
        guard chosen.kind == .cuda, !name.contains(":") else { return chosen }
        guard localRank < Library.cudaDevices else {
            throw ConfigurationError(
                "rank \(rank) is process \(localRank + 1) of its host, which has \(Library.cudaDevices) CUDA devices; start one "
                    + "for each")
        }
        return Device(kind: .cuda, index: localRank)
    }
}
