import Foundation
import Torch

/// The processes that work together on one task; often a single one.
public final class World: Ranks {
    /// The rank of this process, from 0. Rank 0 writes and prints.
    public let rank: Int
    /// The number of processes.
    public let size: Int
    /// The launch of this process with others; nil for a single process.
    public let launch: Launch?

    let group: ProcessGroup?
    let watch: RankWatch?
    /// The store with the keys of this start, and the store of all starts, which may end with this process.
    private let store: KeyValueStore?, served: KeyValueStore?

    /// A single process.
    public static let alone = World()

    /// Whether this process is the one that writes and prints.
    public var isFirst: Bool { rank == 0 }

    private init() { (rank, size, launch, group, watch, store, served) = (0, 1, nil, nil, nil, nil, nil) }

    /// Joins the processes described by the environment, runs `body`, and leaves.
    ///
    /// - Parameters:
    ///   - launch: the launch of this process with others; nil for a single process.
    ///   - device: the name of the device, as for `chooseDevice`, which determines the kind of group.
    ///   - timeout: seconds after which a missing, silent or stuck rank ends the others too.
    ///   - body: the work, called with the world.
    ///
    /// Throws a `ConfigurationError` if the environment or the network does not allow it, a `RankFailure` that names a
    /// rank that ended, and any error of `body`, after the other ranks have been told.
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
        // c10d warns on stderr about hosts without a name and about each attempt to connect.
        setenv("TORCH_CPP_LOG_LEVEL", "ERROR", 0)
        let isRankServing = !launch.isServed
        let isServer = launch.rank == 0 && isRankServing
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
        let served = try connect("transcend", serving: listening)
        self.served = served
        // The rendezvous comes first, since ranks may come late; the group then does not wait for a missing one.
        let prefix = "transcend/" + (try Rendezvous(launch, in: served).meet(timeout: timeout))
        store = try connect(prefix)
        let watch = RankWatch(
            store: try connect(prefix), rank: launch.rank, size: launch.size, timeout: timeout,
            storePlace: (isRankServing ? "" : "torchrun's store at ") + "\(launch.address), port \(launch.port)",
            isServedByRank: isRankServing)
        self.watch = watch
        do {
            group = try ProcessGroup(
                store: connect(prefix + "/group"), rank: launch.rank, size: launch.size,
                address: NetworkAddress.own(toward: launch.address, port: launch.port), interface: launch.interface,
                device: device)
        } catch {
            let error = watch.failure ?? error
            Self.leave(watch, after: error, isServer: isServer)
            throw error
        }
    }

    /// Divides the cores of a host among its processes, unless the user has set the number of threads.
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
        if let watch { Self.leave(watch, after: error, isServer: serves) }
    }

    private static func leave(_ watch: RankWatch, after error: any Error, isServer: Bool) {
        if error is RankFailure { watch.waitForPublication() } else { watch.announce("\(error)") }
        if isServer { watch.waitForOthers(atMost: 5) }
        watch.stop()
    }

    /// Whether the store ends with this process.
    private var serves: Bool { isFirst && launch?.isServed == false }

    // MARK: - Collective operations

    /// Runs operations of the group; throws a `RankFailure` if another rank has failed, or an earlier failure in the
    /// current `withErrors`, of which the others know nothing.
    func together<Result>(_ body: (ProcessGroup) throws -> Result) throws -> Result? {
        guard let group, let watch else { return nil }
        return try watch.during(.wait) {
            do {
                return try withErrors {
                    let result = try body(group)
                    // NCCL's operations return at once; the time spent waiting for the others must be visible as such.
                    group.device.synchronize()
                    return result
                }
            } catch {
                throw group.hasFailed ? watch.explain(error) : error
            }
        }
    }

    /// Sums numbers element by element over all ranks.
    func sum(_ values: [Double]) throws -> [Double] {
        try together { group in
            let tensor = Tensor(values).to(group.device)
            group.sum(tensor)
            return tensor.values(as: Double.self)
        } ?? values
    }

    /// Gathers the bytes of each rank, in rank order.
    public func gather(_ bytes: [UInt8]) throws -> [[UInt8]] {
        // An operation's result is valid only if the call ends without an error.
        let counts = try together { $0.gather(Tensor([bytes.count]).to($0.device)).values(as: Int.self) }
        guard let counts else { return [bytes] }
        let length = max(1, counts.max() ?? 1)
        let padded = bytes + [UInt8](repeating: 0, count: length - bytes.count)
        let all = try together {
            $0.gather(Tensor(padded, shape: [length]).to($0.device)).values(as: UInt8.self)
        }
        return counts.enumerated().map { rank, count in Array((all ?? [])[rank * length..<rank * length + count]) }
    }

    /// Whether a condition holds on any rank.
    func any(_ value: Bool) throws -> Bool { try sum([value ? 1 : 0])[0] > 0 }

    /// Waits until all ranks are here.
    public func barrier() throws { _ = try sum([0]) }

    /// Runs `body` on rank 0 first, then on the others.
    public func firstThenOthers<Result>(_ body: () throws -> Result) throws -> Result {
        if !isFirst { try barrier() }
        let result = try body()
        if isFirst { try barrier() }
        return result
    }

    /// Runs `body`, which may take long without reporting progress; meanwhile only whether the rank is alive is
    /// monitored.
    func readingOrWriting<Result>(_ body: () throws -> Result) throws -> Result {
        try watch?.during(.files, body) ?? body()
    }

    /// Throws a `ConfigurationError` on all ranks if one of them disagrees with rank 0, naming the rank and the fact.
    public func agree(on facts: [(name: String, value: String)], topic: String) throws {
        guard size > 1 else { return }
        let all = try gather(Array(facts.map { "\($0.name)\t\($0.value)" }.joined(separator: "\n").utf8)).map {
            String(decoding: $0, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        }
        guard let other = all.firstIndex(where: { $0 != all[0] }) else { return }
        // Each rank confirms it itself, so that none leaves before the others know.
        try post(note: "compared \(topic)", "")
        for rank in 0..<size { _ = try? note(from: rank, "compared \(topic)") }
        let pair = zip(all[0], all[other]).first { $0 != $1 } ?? (all[0].last ?? "", all[other].last ?? "")
        let (mine, theirs) = (pair.0.split(separator: "\t"), pair.1.split(separator: "\t"))
        throw ConfigurationError(
            "rank \(other) of \(size) differs from rank 0: \(mine.first ?? "") is \(theirs.last ?? "") there, "
                + "\(mine.last ?? "") on rank 0; start all ranks alike")
    }

    /// Posts a text for the other ranks, from any thread.
    func post(note: String, _ text: String) throws { try store?.set("note/\(rank)/\(note)", text) }

    /// Waits for a text posted by a rank, in any thread; throws a `RankFailure` if a rank fails meanwhile.
    func note(from rank: Int, _ note: String) throws -> String {
        while true {
            if let text = try store?.text("note/\(rank)/\(note)") { return text }
            try watch?.throwFailure()
            Thread.sleep(forTimeInterval: 0.02)
        }
    }

    /// This rank's part of `count` items, divided into equal parts.
    func share(of count: Int) -> Range<Int> { Launch.share(of: count, rank: rank, size: size) }
}
