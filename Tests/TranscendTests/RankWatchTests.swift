import Foundation
import Synchronization
import TestSupport
import Testing
import Torch
import Transcend

/// What ranks know of each other, which are objects of this process over one store.
@Suite(.serialized) struct RankWatchTests {
    private let port: FreePort
    private let server: KeyValueStore

    init() throws {
        port = try FreePort()
        server = try KeyValueStore(
            host: "127.0.0.1", port: port.number, listening: port.descriptor, prefix: "w", timeout: 20)
    }

    /// Of two ranks, with a time of 2 s.
    private func watch(_ rank: Int, through port: Int? = nil) throws -> RankWatch {
        RankWatch(
            store: try KeyValueStore(host: "127.0.0.1", port: port ?? self.port.number, prefix: "w", timeout: 20),
            rank: rank, size: 2, timeout: 2, storePlace: "here", isServedByRank: true)
    }

    /// What a rank knows of a failure after at most so many seconds.
    private func failure(of watch: RankWatch, atMost seconds: Double) -> String? {
        for _ in 0..<Int(100 * seconds) where watch.failure == nil { Thread.sleep(forTimeInterval: 0.01) }
        // Else the process would be ended.
        try? watch.throwFailure()
        return watch.failure?.description
    }

    @Test func aSilentRankIsNamedToAll() throws {
        let (first, second) = (try watch(0), try watch(1))
        defer { first.stop() }
        second.tick(step: 7)
        try second.during(.files) {
            Thread.sleep(forTimeInterval: 0.5)
            second.stop()
        }
        let expected = "rank 1 of 2 has not been heard of for 2 s, at step 7"
        #expect(failure(of: first, atMost: 10) == expected)
        Thread.sleep(forTimeInterval: 1)
        #expect(try server.text("failure") == expected)
    }

    /// A cut link keeps a thread waiting for the store; a rank has to end all the same.
    @Test func aSilentRankIsNoticedThoughTheStoreDoesNotAnswer() throws {
        let link = try Link(to: port.number)
        let (first, second) = (try watch(0, through: link.port), try watch(1))
        defer { first.stop() }
        Thread.sleep(forTimeInterval: 0.5)
        second.stop()
        Thread.sleep(forTimeInterval: 0.7)
        link.cut()
        #expect(failure(of: first, atMost: 10)?.contains("rank 1 of 2 has not been heard of for 2 s") == true)
    }

    @Test func theFailureThatIsPublishedFirstCounts() throws {
        let first = try watch(0)
        defer { first.stop() }
        try server.set("failure", "another")
        #expect(failure(of: first, atMost: 10) == "another")
    }

    @Test func aRankIsNotAccusedOfWaitingWhenItHasJustBegun() throws {
        let (first, second) = (try watch(0), try watch(1))
        defer {
            first.stop()
            second.stop()
        }
        Thread.detachNewThread { try? second.during(.wait) { Thread.sleep(forTimeInterval: 4.5) } }
        try first.during(.files) { Thread.sleep(forTimeInterval: 3) }
        try first.during(.wait) { Thread.sleep(forTimeInterval: 1) }
        #expect(first.failure?.description == nil && second.failure?.description == nil)
    }

    @Test func ranksThatWaitForEachOtherAreTold() throws {
        let watches = [try watch(0), try watch(1)]
        defer { for watch in watches { watch.stop() } }
        for watch in watches {
            Thread.detachNewThread { try? watch.during(.wait) { Thread.sleep(forTimeInterval: 5) } }
        }
        for watch in watches {
            #expect(failure(of: watch, atMost: 10)?.hasPrefix("all ranks have waited for each other for 2 s") == true)
        }
    }
}

/// A connection to a port of this host that can be cut, as a cable is: nothing more comes, and nobody is told.
private final class Link: Sendable {
    let port: Int
    private let isCut = Mutex(false)

    init(to target: Int) throws {
        let entry = try FreePort()
        port = entry.number
        Thread.detachNewThread { [self] in
            let near = accept(entry.descriptor, nil, nil)
            let far = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(target).bigEndian
            address.sin_addr.s_addr = inet_addr("127.0.0.1")
            withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    _ = connect(far, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            for (from, to) in [(near, far), (far, near)] {
                Thread.detachNewThread { [self] in
                    var buffer = [UInt8](repeating: 0, count: 4096)
                    while true {
                        let count = recv(from, &buffer, buffer.count, 0)
                        if count <= 0 { return }
                        if isCut.withLock({ $0 }) { continue }
                        send(to, buffer, count, Int32(MSG_NOSIGNAL))
                    }
                }
            }
        }
    }

    func cut() { isCut.withLock { $0 = true } }
}
