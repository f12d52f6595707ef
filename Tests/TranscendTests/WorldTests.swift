import Diffusion
import Foundation
import Models
import Synchronization
import TestSupport
import Testing
import Torch
import Transcend

/// Worlds whose ranks are threads of this process, over a store that lives on, as torchrun's does.
extension TrainingTests {
    @Suite(.serialized) struct Worlds {
        private let port: FreePort
        private let server: KeyValueStore

        init() throws {
            port = try FreePort()
            server = try KeyValueStore(
                host: "127.0.0.1", port: port.number, listening: port.descriptor, prefix: "transcend", timeout: 20)
        }

        private struct Refusal: Error, CustomStringConvertible { let description = "it does not want to" }

        /// torchrun counts the restarts of each host by itself.
        @Test func restartsMeetWhateverTheirNumber() throws {
            let first = start(restarts: [0, 0]) { world in
                if world.rank == 1 { throw Refusal() }
                Thread.sleep(forTimeInterval: 1.5)
                try world.barrier()
            }
            let message = "rank 1 of 2 has ended at step 0: it does not want to"
            #expect(first.map { "\($0.failure.map { "\($0)" } ?? "none")" } == [message, "it does not want to"])
            for restarts in [[1, 0], [1, 1], [0, 0]] {
                let again = start(restarts: restarts) { world in
                    let all = try world.gather([UInt8(world.rank), 9])
                    #expect(all == [[0, 9], [1, 9]])
                }
                #expect(again.allSatisfy { $0.failure == nil }, "\(restarts): \(again)")
            }
        }

        @Test func aRankThatIsGoneIsNotTakenForOneThatComes() throws {
            try server.set("hello/1", "earlier")
            let alone = start(restarts: [0], of: 2, timeout: 1) { _ in }
            let message = "rank 0 of 2: no sign of rank 1 after 1 s; start all 2 ranks"
            #expect(alone[0].failure.map { "\($0)" } == message)
            let both = start(restarts: [0, 0]) { try $0.barrier() }
            #expect(both.allSatisfy { $0.failure == nil }, "\(both)")
        }

        /// Such as memory that does not suffice: nobody may take a step with the gradients of the others alone.
        @Test func whatFailsOnOneRankIsAStepOfNone() throws {
            let results = start(restarts: [0, 0]) { world in
                let state = try makeState(world)
                try world.barrier()
                let before = state.parameters.tensors.map { $0.tensor.values(as: Float.self) }
                // Rank 1 looks for a class that there is not.
                if world.rank == 0 { Thread.sleep(forTimeInterval: 2) }
                defer {
                    #expect(state.step == 0)
                    #expect(state.parameters.tensors.map { $0.tensor.values(as: Float.self) } == before)
                }
                _ = try withErrors { try state.update([batch(label: world.rank == 1 ? 9 : 0)], learningRate: 1) }
            }
            #expect(results[1].failure is TorchError, "\(results)")
            let message = results[0].failure.map { "\($0)" } ?? ""
            #expect(message.hasPrefix("rank 1 of 2 has ended at step 0: embedding"), "\(message)")
        }

        /// Runs `body` as ranks that have been restarted so many times; returns how each ended.
        private func start(
            restarts: [Int], of size: Int? = nil, timeout: Double = 4,
            _ body: @escaping @Sendable (World) throws -> Void
        ) -> [Result<Void, any Error>] {
            let results = Mutex<[Int: Result<Void, any Error>]>([:])
            let done = DispatchGroup()
            let port = port.number
            for (rank, count) in restarts.enumerated() {
                done.enter()
                Thread.detachNewThread {
                    let result = Result {
                        let launch = try Launch(environment: [
                            "RANK": "\(rank)", "WORLD_SIZE": "\(size ?? restarts.count)", "LOCAL_RANK": "0",
                            "LOCAL_WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "\(port)",
                            "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "\(count)",
                        ])
                        try World.join(launch, device: "cpu", timeout: timeout, body)
                    }
                    results.withLock { $0[rank] = result }
                    done.leave()
                }
            }
            done.wait()
            let all = results.withLock { $0 }
            return restarts.indices.compactMap { all[$0] }
        }
    }
}

extension Result {
    fileprivate var failure: Failure? {
        if case .failure(let error) = self { return error }
        return nil
    }
}

private func makeState(_ world: World) throws -> TrainingState {
    var c = SiTConfiguration()
    (c.inputSize, c.patchSize, c.channels, c.hidden, c.depth, c.heads, c.classes) = (8, 4, 3, 16, 1, 2, 3)
    let network = SiT(c)
    network.initialise(stage: "test", seed: 1)
    let objective = Plain(defaultsFor: c, reading: .paper).objective(for: c, teacher: nil, on: .cpu)
    return try TrainingState(
        network: network, objective: objective, path: .linear, configuration: OptimizerConfiguration(), world: world)
}

private func batch(label: Int) -> Batch {
    Batch(
        clean: .full([2, 3, 8, 8], 0.5), noise: .full([2, 3, 8, 8], -0.1), times: [0.1, 0.6],
        labels: Tensor([0, label]), seenLabels: Tensor([0, label]))
}
