import Data
import Foundation
import TestSupport
import Testing

/// Several processes that train, sample and prepare together over Gloo, and what happens when one of them fails.
@Suite(.serialized) struct RanksTests {
    /// The files of a checkpoint that hold tensors.
    private let tensorFiles = ["model.safetensors", "ema.safetensors", "optimizer.safetensors"]

    @Test(
        arguments: [
            ("plain", ["--set", "data.flips=true"]), ("align", []),
            ("align", ["--set", "method.alignment.semantics=batch-mean"]),
            ("align", ["--precision", "bf16"]),
        ] as [(String, [String])])
    func twoRanksHaveTheBitsOfTwoMicroBatches(stage: String, settings: [String]) throws {
        try withTemporaryFolder { folder in
            let flags = train(stage, steps: 4) + settings
            try run(flags + ["--out", folder + "/one", "--accumulation", "2"], in: folder)
            let ranks = try Ranks(2, flags + ["--out", folder + "/two"], in: folder)
            #expect(ranks.end().map(\.status) == [0, 0])
            for file in tensorFiles {
                let path = "/checkpoints/step-0000004/" + file
                #expect(try bytes(folder + "/one" + path) == bytes(folder + "/two" + path), "\(file)")
            }
            #expect(try losses(folder + "/one") == losses(folder + "/two"))
        }
    }

    @Test func anySplitHasTheSameLossesAlsoWhenItChanges() throws {
        try withTemporaryFolder { folder in
            let flags = train("align", steps: 6)
            try run(flags + ["--out", folder + "/one"], in: folder)
            let expected = try losses(folder + "/one")
            // Four processes make half of it, then one or two with their state spread the rest.
            let begun = try Ranks(
                4, train("align", steps: 3) + ["--out", folder + "/four", "--set", "distributed.spreadState=true"],
                in: folder)
            #expect(begun.end().map(\.status) == [0, 0, 0, 0])
            let names = try FileManager.default.contentsOfDirectory(atPath: folder + "/four/checkpoints/step-0000003")
            #expect(names.contains("ema-00004-of-00004.safetensors"))
            try FileManager.default.copyItem(atPath: folder + "/four", toPath: folder + "/again")
            try run(flags + ["--out", folder + "/four"], in: folder)
            let two = try Ranks(
                2, flags + ["--out", folder + "/again", "--set", "distributed.spreadState=true"], in: folder)
            #expect(two.end().map(\.status) == [0, 0])
            for run in ["four", "again"] {
                for (a, b) in zip(expected, try losses("\(folder)/\(run)")) { #expect(abs(a - b) <= 1e-5) }
            }
        }
    }

    @Test func spreadStateChangesNoBitAndIsReadByOneProcess() throws {
        try withTemporaryFolder { folder in
            let flags = train("align", steps: 4) + preview
            for (name, spread) in [("whole", "false"), ("spread", "true")] {
                let more = ["--out", "\(folder)/\(name)", "--set", "distributed.spreadState=\(spread)"]
                #expect(try Ranks(2, flags + more, in: folder).end().map(\.status) == [0, 0])
            }
            for file in ["/checkpoints/step-0000004/model.safetensors", "/samples/step-0000004.png"] {
                #expect(try bytes(folder + "/whole" + file) == bytes(folder + "/spread" + file), "\(file)")
            }
            for name in ["whole", "spread"] {
                try run(
                    ["export", "--checkpoint", "\(folder)/\(name)", "--out", "\(folder)/\(name).pt"], in: folder)
            }
            #expect(try bytes(folder + "/whole.pt") == bytes(folder + "/spread.pt"))
        }
    }

    @Test func aPipelineRunsOnTwoRanks() throws {
        try withTemporaryFolder { folder in
            let flags = ["pipeline", "--steps", "4"] + tiny + preview
            try run(flags + ["--out", folder + "/one", "--accumulation", "2"], in: folder)
            let ranks = try Ranks(2, flags + ["--out", folder + "/two"], in: folder).end()
            #expect(ranks.map(\.status) == [0, 0])
            // One process speaks for all.
            #expect(ranks[1].errors.isEmpty && ranks[1].output.isEmpty)
            for file in tensorFiles.map({ "checkpoints/step-0000004/" + $0 }) + ["samples/step-0000004.png"] {
                let path = "/selfguided/" + file
                #expect(try bytes(folder + "/one" + path) == bytes(folder + "/two" + path), "\(file)")
            }
        }
    }

    @Test func samplesStoresAndNumbersAreThoseOfOneProcess() throws {
        try withTemporaryFolder { folder in
            try run(train("plain", steps: 2) + ["--out", folder + "/run"], in: folder)
            try writeImages(20, in: folder)
            func sample(_ out: String) -> [String] {
                [
                    "sample", "--checkpoint", folder + "/run", "--count", "150", "--labels", "random", "--steps", "2",
                    "--out", "\(folder)/\(out).npz",
                ]
            }
            func prepare(_ out: String) -> [String] {
                [
                    "prepare", "--data", folder + "/images", "--resolution", "24", "--shard-images", "6", "--out",
                    "\(folder)/\(out)",
                ]
            }
            try run(sample("one"), in: folder)
            try run(prepare("store-one"), in: folder)
            #expect(try Ranks(3, sample("three"), in: folder).end().map(\.status) == [0, 0, 0])
            #expect(try Ranks(3, prepare("store-three"), in: folder).end().map(\.status) == [0, 0, 0])
            #expect(try bytes(folder + "/one.npz") == bytes(folder + "/three.npz"))
            #expect(try files(folder + "/store-one") == files(folder + "/store-three"))

            // 150 samples of a checkpoint, and files, against the run's own images: batches that do not divide by ranks.
            let extractor = ["--extractor", fixture("colours.pt"), "--steps", "2", "--json"]
            for samples in [
                ["--samples", folder + "/run", "--count", "150"],
                ["--samples", folder + "/one.npz", "--reference", folder + "/store-one"],
            ] {
                let one = try transcend(["evaluate"] + samples + extractor, in: folder)
                #expect(one.status == 0 && one.output.contains("frechet_distance"), "\(one.errors)")
                // A kept result would be read again.
                try? FileManager.default.removeItem(atPath: folder + "/run/evaluations")
                let three = try Ranks(3, ["evaluate"] + samples + extractor, in: folder).end()
                #expect(three.map(\.status) == [0, 0, 0], "\(three.map(\.errors))")
                #expect(three.map(\.output) == [one.output, "", ""])
            }
        }
    }

    // MARK: - Faults

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
                let message = ended[1 - victim].errors.split(separator: "\n").last ?? ""
                #expect(
                    message.contains("rank \(victim) of 2") && message.contains("ended or cannot be reached"),
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
                train("plain", steps: 100_000) + ["--out", folder + "/run", "--set", "distributed.timeoutSeconds=2"],
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
                ended.allSatisfy { $0.errors.contains("is not finite (denoising loss inf") }, "\(ended.map(\.errors))")
            // Skipped, it is skipped by all.
            let skipping = try Ranks(
                2, flags + ["--out", folder + "/skipping", "--skip-nonfinite", "2"], in: folder)
            #expect(skipping.end().map(\.status) == [0, 0])
        }
    }

    @Test func aFullDiskOfTheWritingRankEndsAllAndLeavesTheCheckpointBefore() throws {
        try withTemporaryFolder { folder in
            guard let disk = SmallDisk(at: folder + "/disk", megabytes: 8) else { return }
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

    @Test func ranksThatDifferOrDoNotComeDoNotBegin() throws {
        try withTemporaryFolder { folder in
            let flags = train("plain", steps: 4) + ["--out", folder + "/run"]
            let differing = try Ranks(2, flags, in: folder) { $0 == 1 ? ["--learning-rate", "0.5"] : [] }.end()
            #expect(differing.map(\.status) == [2, 2])
            for rank in differing {
                #expect(
                    rank.errors.contains("rank 1 of 2 differs from rank 0: schedule.learningRate is 0.5 there"),
                    "\(rank.errors)")
            }
            let alone = try transcend(
                flags + ["--set", "distributed.timeoutSeconds=1"], in: folder, environment: Ranks.environment(0, of: 2))
            #expect(alone.status == 2 && alone.errors.contains("no sign of rank 1"), "\(alone.errors)")
            let uneven = try Ranks(3, flags, in: folder).end()
            #expect(uneven.allSatisfy { $0.status == 2 && $0.errors.contains("the batch 8 is not divisible among 3") })
            let missing = try transcend(flags, in: folder, environment: ["RANK": "0"])
            #expect(missing.status == 2 && missing.errors.contains("RANK is set and WORLD_SIZE is missing"))
        }
    }

    @Test func aDryRunSaysWhatEachRankWouldDo() throws {
        try withTemporaryFolder { folder in
            let flags = train("plain", steps: 4) + ["--dry-run"]
            let first = try transcend(flags, in: folder, environment: Ranks.environment(0, of: 4))
            #expect(first.status == 0 && first.output.contains("3   cpu      6 to 7"), "\(first.output)")
            let other = try transcend(flags, in: folder, environment: Ranks.environment(1, of: 4))
            #expect(other.status == 0 && other.output.isEmpty)
        }
    }

    // MARK: -

    private func train(_ stage: String, steps: Int) -> [String] {
        ["train", "--stage", stage, "--steps", "\(steps)", "--set", "schedule.decay=constant"]
            + (stage == "plain" ? plainTiny : alignTiny)
    }

    /// Means and deviations [8, 32, 32] in a file of NumPy.
    private func latent(mean: Float) -> Data {
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (8, 32, 32), }"
        let padded = header + String(repeating: " ", count: 128 - 10 - header.utf8.count - 1) + "\n"
        var data = Data([0x93] + "NUMPY".utf8 + [1, 0, UInt8(padded.utf8.count), 0]) + Data(padded.utf8)
        let values = [mean, 0.5].flatMap { [Float](repeating: $0, count: 4 * 32 * 32) }
        values.withUnsafeBytes { data.append(contentsOf: $0) }
        return data
    }

    /// Flags for a small sample grid at step 4.
    private let preview = [
        "output.sampleEvery=4", "preview.classes=1", "preview.perClass=1", "preview.sampler.steps=2",
    ].flatMap { ["--set", $0] }

    private func run(_ arguments: [String], in folder: String) throws {
        let ended = try transcend(arguments, in: folder, environment: ["OMP_NUM_THREADS": "1"])
        #expect(ended.status == 0, "\(ended.errors)")
    }

    private func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

    private func losses(_ run: String) throws -> [Double] {
        try String(contentsOfFile: run + "/metrics.jsonl", encoding: .utf8).split(separator: "\n").map { line in
            let row = try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            return try #require(row["denoisingLoss"] as? Double)
        }
    }
}

/// Processes of the program that are started together, on a free port.
private final class Ranks {
    private let processes: [Process]
    private let folders: [String]

    init(
        _ count: Int, _ arguments: [String], in folder: String, more: (_ rank: Int) -> [String] = { _ in [] }
    ) throws {
        let port = Self.freePort()
        folders = (0..<count).map { "\(folder)/rank-\($0)" }
        for folder in folders {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        }
        processes = try folders.enumerated().map { rank, folder in
            try program(
                arguments + more(rank), in: folder, environment: Self.environment(rank, of: count, port: port))
        }
        for process in processes { try process.run() }
    }

    static func environment(_ rank: Int, of count: Int, port: Int = freePort()) -> [String: String] {
        [
            "RANK": "\(rank)", "WORLD_SIZE": "\(count)", "LOCAL_RANK": "\(rank)", "LOCAL_WORLD_SIZE": "\(count)",
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "\(port)", "OMP_NUM_THREADS": "1",
        ]
    }

    /// Waits until all have ended.
    func end() -> [Ended] { processes.indices.map(end(of:)) }

    func end(of rank: Int) -> Ended {
        processes[rank].waitUntilExit()
        let output = (try? String(contentsOfFile: folders[rank] + "/.stdout", encoding: .utf8)) ?? ""
        return Ended(status: processes[rank].terminationStatus, output: output, errors: errors(of: rank))
    }

    func errors(of rank: Int) -> String {
        (try? String(contentsOfFile: folders[rank] + "/.stderr", encoding: .utf8)) ?? ""
    }

    func kill(_ rank: Int, _ signal: Int32) { Foundation.kill(processes[rank].processIdentifier, signal) }

    /// The addresses on which a rank listens, as /proc writes them.
    func listening(_ rank: Int) throws -> [String] {
        let process = "/proc/\(processes[rank].processIdentifier)"
        let sockets = Set(
            try FileManager.default.contentsOfDirectory(atPath: process + "/fd").compactMap {
                try? FileManager.default.destinationOfSymbolicLink(atPath: "\(process)/fd/\($0)")
            })
        return try ["tcp", "tcp6"].flatMap { name -> [String] in
            let bytes =
                try FileHandle(forReadingFrom: URL(fileURLWithPath: "\(process)/net/\(name)")).readToEnd() ?? Data()
            return String(decoding: bytes, as: UTF8.self).split(separator: "\n").dropFirst().compactMap { line in
                let fields = line.split(separator: " ")
                // State 0A: it listens; field 9 is the inode.
                guard fields[3] == "0A", sockets.contains("socket:[\(fields[9])]") else { return nil }
                return String(fields[1].prefix { $0 != ":" })
            }
        }
    }

    /// Keeps a disk full until rank 0 has ended.
    func fill(_ disk: String) throws { try CommandLineTests.fill(disk, while: processes[0]) }

    /// Waits until a run has logged that many steps.
    func wait(forStep step: Int, of run: String) {
        waitForLines(step, in: run + "/metrics.jsonl", while: processes[0])
    }

    private static func freePort() -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        return withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                _ = bind(descriptor, address, length)
                getsockname(descriptor, address, &length)
            }
            return Int(UInt16(bigEndian: pointer.pointee.sin_port))
        }
    }
}
