import Foundation
import Torch

/// How all ranks find each other in a store that may still hold what an earlier start of them has left there.
///
/// Each process says hello with a number of its own. Rank 0 publishes its own number with those that it has seen, and anew
/// whenever one changes; another rank takes part in what holds its own number. Rank 0's number becomes the prefix of all keys,
/// so that nothing of another start is ever read. That of restarts by a launcher would not do: each host counts its own.
struct Rendezvous {
    private let store: KeyValueStore
    private let launch: Launch
    private let number = String(UInt64.random(in: .min ... .max), radix: 16)

    /// The store is that of all starts.
    init(_ launch: Launch, in store: KeyValueStore) { (self.launch, self.store) = (launch, store) }

    /// Waits until all ranks have come; returns the prefix of their keys. Throws a `ConfigurationError` that names those of which
    /// there is no sign after `timeout` seconds.
    func meet(timeout: Double) throws -> String {
        try store.set("hello/\(launch.rank)", number)
        let end = ProgressLine.monotonicSeconds() + timeout
        var published: [String] = []
        while true {
            if launch.rank == 0 {
                let numbers = try (0..<launch.size).map { try store.text("hello/\($0)") ?? "-" }
                if numbers != published { try store.set("world", numbers.joined(separator: " ")) }
                published = numbers
            }
            let missing = try missing()
            if let prefix = missing.prefix, missing.ranks.isEmpty { return prefix }
            guard ProgressLine.monotonicSeconds() < end else { throw absence(of: missing.ranks, after: timeout) }
            Thread.sleep(forTimeInterval: 0.02)
        }
    }

    /// The prefix of the world that this rank takes part in, if rank 0 knows of it, and those that do not take part yet.
    private func missing() throws -> (prefix: String?, ranks: [Int]) {
        let numbers = try store.text("world")?.split(separator: " ").map(String.init) ?? []
        guard numbers.count == launch.size, numbers[launch.rank] == number else { return (nil, [0]) }
        try store.set("in/\(numbers[0])/\(launch.rank)", number)
        return (numbers[0], try numbers.indices.filter { try store.text("in/\(numbers[0])/\($0)") != numbers[$0] })
    }

    private func absence(of ranks: [Int], after seconds: Double) -> ConfigurationError {
        let names = ranks.prefix(8).map(String.init).joined(separator: ", ") + (ranks.count > 8 ? ", ..." : "")
        return ConfigurationError(
            "rank \(launch.rank) of \(launch.size): no sign of rank \(names) after \(readableNumber(seconds)) s; start all "
                + "\(launch.size) ranks")
    }
}
