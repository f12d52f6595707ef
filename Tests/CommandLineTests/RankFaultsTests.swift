import Foundation
import TestSupport
import Testing

/// What happens when one of several processes fails.
extension RanksTests {
    @Suite struct Faults {
        @Test func aRankThatDiesEndsTheOthersAndTheRunContinues() throws {
            try withTemporaryFolder { folder in
                let flags = train("align", steps: 40) + ["--checkpoint-every", "4"]
                try run(flags + ["--out", folder + "/one", "--accumulation", "2"], in: folder)
                for victim in [1, 0] {
                    let ranks = try Ranks(2, flags + ["--out", folder + "/two"], in: folder)
                    ranks.wait(forStep: 10 * (2 - victim), of: folder + "/two")
                    ranks.kill(victim, SIGKILL)
                    let ended = ranks.end()
                    #expect(ended[victim].status == SIGKILL)
                    #expect(ended[1 - victim].status == 1)
                    let message = ended[1 - victim].errors
                    #expect(
                        message.contains("rank \(victim) of 2, at step")
                            || message.contains("rank \(victim) of 2 has ended or cannot be reached, at step"),
                        "\(message)")
                }
                let ranks = try Ranks(2, flags + ["--out", folder + "/two"], in: folder)
                #expect(ranks.end().map(\.status) == [0, 0])
                for file in tensorFiles {
                    let path = "/checkpoints/step-0000040/" + file
                    #expect(try bytes(folder + "/one" + path) == bytes(folder + "/two" + path), "\(file)")
                }
            }
        }

        @Test func aRankThatHangsEndsTheOthersInTime() throws {
            try withTemporaryFolder { folder in
                let ranks = try Ranks(
                    2,
                    train("plain", steps: 100_000) + [
                        "--out", folder + "/run", "--set", "distributed.timeoutSeconds=2",
                    ],
                    in: folder)
                ranks.wait(forStep: 3, of: folder + "/run")
                ranks.kill(1, SIGSTOP)
                let start = Date()
                #expect(ranks.end(of: 0).status == 1)
                // What is told to stop is bound by nothing; the others by the time and a few seconds to end in.
                #expect(Date().timeIntervalSince(start) < 20)
                let message = ranks.errors(of: 0)
                #expect(message.contains("rank 1 of 2 has not been heard of for 2 s, at step"), "\(message)")
                ranks.kill(1, SIGKILL)
                ranks.kill(1, SIGCONT)
                _ = ranks.end()
            }
        }

        @Test func aSignalToOneRankStopsAllAtTheSameStep() throws {
            try withTemporaryFolder { folder in
                let ranks = try Ranks(2, train("plain", steps: 100_000) + ["--out", folder + "/run"], in: folder)
                ranks.wait(forStep: 3, of: folder + "/run")
                ranks.kill(1, SIGTERM)
                let ended = ranks.end()
                #expect(ended.map(\.status) == [143, 143])
                #expect(ended[0].errors.contains("stopped at step"))
                #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/run/checkpoints").count == 1)
            }
        }

        /// The square of one image's latent is not finite, and so only one rank's share of a step.
        @Test func aNonFiniteLossOfOneRankStopsAllAtTheSameStep() throws {
            try withTemporaryFolder { folder in
                try FileManager.default.createDirectory(atPath: folder + "/vae-sd/0", withIntermediateDirectories: true)
                for index in 0..<8 {
                    let name = String(format: "%08d", index)
                    try latent(mean: index == 5 ? 1e30 : 0.5).write(
                        to: URL(fileURLWithPath: "\(folder)/vae-sd/0/img-mean-std-\(name).npy"))
                }
                let labels = (0..<8).map { String(format: "[\"0/img-mean-std-%08d.npy\", %d]", $0, $0 % 2) }
                try "{\"labels\": [\(labels.joined(separator: ", "))]}".write(
                    toFile: folder + "/vae-sd/dataset.json", atomically: true, encoding: .utf8)
                let flags =
                    train("plain", steps: 8) + [
                        "--data", folder + "/vae-sd", "--set", "network.patchSize=8", "--batch", "4",
                    ]
                let ended = try Ranks(2, flags + ["--out", folder + "/run"], in: folder).end()
                #expect(ended.map(\.status) == [1, 1])
                let steps = ended.map { $0.errors.split(separator: " ").drop { $0 != "step" }.dropFirst().first }
                #expect(steps[0] != nil && steps[0] == steps[1], "\(ended.map(\.errors))")
                #expect(
                    ended.allSatisfy { $0.errors.contains("is not finite (denoising loss inf") },
                    "\(ended.map(\.errors))")
                // Skipped, it is skipped by all.
                let skipping = try Ranks(
                    2, flags + ["--out", folder + "/skipping", "--skip-nonfinite", "2"], in: folder)
                #expect(skipping.end().map(\.status) == [0, 0])
            }
        }

        @Test(.onSmallDisk) func aFullDiskOfTheWritingRankEndsAllAndLeavesTheCheckpointBefore() throws {
            try withTemporaryFolder { folder in
                let disk = try SmallDisk(at: folder + "/disk", megabytes: 8)
                defer { withExtendedLifetime(disk) {} }
                let flags = train("plain", steps: 100_000) + ["--checkpoint-every", "5", "--out", folder + "/disk/run"]
                let ranks = try Ranks(2, flags, in: folder)
                ranks.wait(forStep: 12, of: folder + "/disk/run")
                try ranks.fill(folder + "/disk")
                let ended = ranks.end()
                #expect(ended.map(\.status) == [1, 1])
                #expect(ended.allSatisfy { $0.errors.contains("no space left on device") }, "\(ended.map(\.errors))")
                #expect(ended[1].errors.contains("rank 0 of 2 has ended at step"), "\(ended[1].errors)")
                #expect(try transcend(["inspect", folder + "/disk/run"], in: folder).status == 0)
            }
        }

        @Test func ranksListenWhereTheyAreToldToAlone() throws {
            try withTemporaryFolder { folder in
                let ranks = try Ranks(2, train("plain", steps: 100_000) + ["--out", folder + "/run"], in: folder)
                ranks.wait(forStep: 2, of: folder + "/run")
                let addresses = try (0..<2).flatMap(ranks.listening)
                ranks.kill(0, SIGKILL)
                ranks.kill(1, SIGKILL)
                _ = ranks.end()
                // The store of rank 0, and Gloo of each; 127.0.0.1 in the words of /proc.
                #expect(addresses.count >= 3 && Set(addresses) == ["0100007F"], "\(addresses)")
            }
        }

        @Test func aRankThatCannotConnectSaysSoToTheOthers() throws {
            try withTemporaryFolder { folder in
                let flags = train("plain", steps: 4) + ["--out", folder + "/run"]
                let ranks = try Ranks(
                    2, flags, in: folder,
                    change: { rank, process in
                        if rank == 1 { process.environment?["GLOO_SOCKET_IFNAME"] = "none9" }
                    })
                let start = Date()
                let ended = ranks.end()
                #expect(ended.map(\.status) == [1, 1])
                #expect(ended[0].errors.contains("rank 1 of 2 has ended at step 0: "), "\(ended[0].errors)")
                #expect(Date().timeIntervalSince(start) < 30)
            }
        }

        // MARK: -

        /// Means and deviations [8, 32, 32] in a file of NumPy.
        private func latent(mean: Float) -> Data {
            let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (8, 32, 32), }"
            let padded = header + String(repeating: " ", count: 128 - 10 - header.utf8.count - 1) + "\n"
            var data = Data([0x93] + "NUMPY".utf8 + [1, 0, UInt8(padded.utf8.count), 0]) + Data(padded.utf8)
            let values = [mean, 0.5].flatMap { [Float](repeating: $0, count: 4 * 32 * 32) }
            values.withUnsafeBytes { data.append(contentsOf: $0) }
            return data
        }
    }
}
