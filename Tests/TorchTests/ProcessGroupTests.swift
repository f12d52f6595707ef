import Foundation
import Synchronization
import TestSupport
import Testing
import Torch

/// Groups whose ranks are threads of this process, held against sums by hand.
@Suite(.serialized) struct ProcessGroupTests {
    @Test func sumsBroadcastsAndGathers() throws {
        let results = try ranks(3) { group in
            let own = Tensor([Float(group.rank), 10, -1.5], shape: [3])
            group.sum(own)
            let sent = Tensor([Float(group.rank), 7], shape: [2])
            group.broadcast(sent, from: 2)
            let all = group.gather(Tensor([UInt8(group.rank), 9], shape: [2]))
            return own.values(as: Float.self) + sent.values(as: Float.self) + all.values(as: Float.self)
        }
        for result in results { #expect(result == [3, 30, -4.5, 2, 7, 0, 9, 1, 9, 2, 9]) }
    }

    /// Two linear maps and one that a rank does not reach; buckets of one parameter each, of all, and of some.
    @Test func theReducerAddsGradientsUp() throws {
        let results = try ranks(2) { group in
            try [1, 100, 1 << 20].flatMap { try Self.sums(bucketBytes: $0, in: group) }
        }
        // d/da = b (step + rank), and 1 on rank 0 from the first part; d/db = sum(a) (step + rank); d/dc = 2 on rank 1.
        let expected = (1...3).flatMap { step -> [Float] in
            let factor = Float(2 * step + 1)
            return [3 * factor + 1, 3 * factor + 1, 3 * factor, 2, 2, 2]
        }
        for result in results { #expect(result == expected + expected + expected) }
    }

    /// The gradients of three steps, whose sums are made in buckets of that size.
    private static func sums(bucketBytes: Int, in group: ProcessGroup) throws -> [Float] {
        let parameters = Three().parameters()
        for (entry, values) in zip(parameters, [[1, 2], [3], [5, 6, 7]] as [[Float]]) {
            entry.parameter.assign(Tensor(values, shape: [values.count]))
        }
        let reducer = try GradientReducer(parameters, group: group, bucketBytes: bucketBytes)
        #expect(reducer.byteCount == 24)
        let (a, b, c) = (
            parameters[0].parameter.value, parameters[1].parameter.value, parameters[2].parameter.value
        )
        var all: [Float] = []
        for step in 1...3 {
            parameters.removeGradients()
            // Two micro-batches, of which the first reaches c on rank 1 alone.
            (group.rank == 1 ? (c * 2).sum() : a.sum()).backward()
            reducer.begin()
            (a.sum() * b * Double(step + group.rank)).sum().backward()
            reducer.finish()
            all += parameters.flatMap { $0.parameter.value.gradient!.values(as: Float.self) }
        }
        return all
    }

    @Test func theStoreKeepsTextsAndSaysWhereThereIsNone() throws {
        let port = try FreePort()
        let store = try KeyValueStore(
            host: "127.0.0.1", port: port.number, listening: port.descriptor, prefix: "a", timeout: 10)
        try store.set("key", "text\n")
        #expect(try store.text("key") == "text\n")
        #expect(try store.text("other") == nil)
        let message = #expect(throws: TorchError.self) {
            _ = try KeyValueStore(host: "127.0.0.1", port: 1, prefix: "a", timeout: 1)
        }
        #expect(message?.description.isEmpty == false)
    }

    @Test(.enabled(if: Library.cudaDevices > 0)) func ncclSumsOnADevice() throws {
        let device = Device(kind: .cuda)
        let results = try ranks(1, on: device) { group in
            let own = Tensor([Float(1), 2], shape: [2]).to(device)
            group.sum(own)
            let all = group.gather(own)
            return own.values(as: Float.self) + all.values(as: Float.self)
        }
        #expect(results == [[1, 2, 1, 2]])
    }

    /// Runs `body` as each rank in a thread of its own.
    private func ranks(
        _ count: Int, on device: Device = .cpu, _ body: @escaping @Sendable (ProcessGroup) throws -> [Float]
    ) throws -> [[Float]] {
        let port = try FreePort()
        let results = Mutex<[Int: Result<[Float], any Error>]>([:])
        let done = DispatchGroup()
        for rank in 0..<count {
            done.enter()
            Thread.detachNewThread {
                let result = Result {
                    let store = try KeyValueStore(
                        host: "127.0.0.1", port: port.number, listening: rank == 0 ? port.descriptor : nil, prefix: "g",
                        timeout: 20)
                    let group = try ProcessGroup(
                        store: store, rank: rank, size: count, address: "127.0.0.1", device: device)
                    let values = try withErrors { try body(group) }
                    // The store lives on rank 0, and the others may still need it.
                    _ = try withErrors { group.gather(Tensor([Float(0)], shape: [1])) }
                    return values
                }
                results.withLock { $0[rank] = result }
                done.leave()
            }
        }
        done.wait()
        let all = results.withLock { $0 }
        return try (0..<count).map { try #require(all[$0]).get() }
    }
}

private struct Three: Module {
    let parameters = [2, 1, 3].map { Parameter([$0], .zeros, on: .cpu) }

    func walk(_ visit: inout Walk) {
        for (index, parameter) in parameters.enumerated() { visit("\(index)", parameter) }
    }
}
