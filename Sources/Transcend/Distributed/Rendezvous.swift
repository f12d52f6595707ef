import Foundation
import Torch

/// Lets all ranks find each other in a store that may still hold keys of an earlier start.
///
/// Each process registers with a random number of its own. Rank 0 publishes its own number with those that it has seen,
/// and again whenever one changes; another rank joins a list that contains its own number. When all have joined, rank 0
/// lets them begin, with its number as the prefix of all keys, so that nothing of another start is ever read. A
/// launcher's restart count would not do as a prefix: each host counts its own.
struct Rendezvous {
    private let store: KeyValueStore
    private let launch: Launch
    private let number = String(UInt64.random(in: .min ... .max), radix: 16)

    /// Creates a rendezvous; the store is shared by all starts.
    init(_ launch: Launch, in store: KeyValueStore) { (self.launch, self.store) = (launch, store) }

    /// Waits until all ranks have come; returns the prefix of their keys. Throws a `ConfigurationError` that names the
    /// ranks without a sign after `timeout` seconds.
    func meet(timeout: Double) throws -> String {
        try store.set("hello/\(launch.rank)", number)
        let end = ProgressLine.monotonicSeconds() + timeout
        var list: [String] = []
        while true {
            if launch.rank == 0 { try publish(&list) } else { try takePart(in: &list) }
            if let prefix = list.first {
                if launch.rank == 0, try missing(of: list).isEmpty { try store.set("begin/\(prefix)", text(list)) }
                if try store.text("begin/\(prefix)") == text(list) { return prefix }
            }
            guard ProgressLine.monotonicSeconds() < end else { throw try absence(from: list, after: timeout) }
            Thread.sleep(forTimeInterval: 0.02)
        }
    }

    private func text(_ list: [String]) -> String { list.joined(separator: " ") }

    /// Publishes the numbers of all ranks if they have changed; "-" stands for a rank that has not come.
    private func publish(_ list: inout [String]) throws {
        let seen = [number] + (try (1..<launch.size).map { try store.text("hello/\($0)") ?? "-" })
        guard seen != list else { return }
        list = seen
        try store.set("world", text(list))
    }

    /// Joins the published list, if it contains the number of this process.
    private func takePart(in list: inout [String]) throws {
        let seen = try store.text("world")?.split(separator: " ").map(String.init) ?? []
        guard seen != list, seen.count == launch.size, seen[launch.rank] == number else { return }
        try store.set("in/\(seen[0])/\(launch.rank)", number)
        list = seen
    }

    /// The ranks of a list that have not joined it.
    private func missing(of list: [String]) throws -> [Int] {
        try list.indices.dropFirst().filter { try store.text("in/\(list[0])/\($0)") != list[$0] }
    }

    private func absence(from list: [String], after seconds: Double) throws -> ConfigurationError {
        let absent = try list.isEmpty ? [] : missing(of: list)
        let ranks = absent.isEmpty ? [0] : absent
        let names = ranks.prefix(8).map(String.init).joined(separator: ", ") + (ranks.count > 8 ? ", ..." : "")
        return ConfigurationError(
            "rank \(launch.rank) of \(launch.size): no sign of rank \(names) after \(readableNumber(seconds)) s; start all "
                + "\(launch.size) ranks")
    }
}
