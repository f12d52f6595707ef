import Foundation
import TestSupport
import Testing
import Torch

/// A run that ends at any moment, in any way, continues to what it would have been. The suite kills a few;
/// `Tests/Long/kills.sh` kills 200, 20 on latents, and 10 preparations of latents.
@Suite(.serialized) struct KillTests {
    /// How a run is ended.
    enum Kill: String, CaseIterable {
        case kill, terminate, fullDisk
    }

    /// When.
    enum Moment: String, CaseIterable {
        /// While the program starts.
        case start
        /// At any time of the whole run.
        case anytime
        /// While a checkpoint is being written.
        case writing
    }

    /// What a run trains on.
    enum Source: String, CaseIterable {
        case pictures, latents
    }

    private static let environment = ProcessInfo.processInfo.environment
    private let count = Self.environment["TRANSCEND_KILLS"].flatMap(Int.init) ?? 10

    /// Of the random moments. It is printed; the same moments come again where the environment gives it.
    private static let seed: UInt64 = {
        let seed = environment["TRANSCEND_KILL_SEED"].flatMap(UInt64.init) ?? .random(in: 0..<1 << 32)
        print("TRANSCEND_KILL_SEED=\(seed)")
        return seed
    }()

    /// Two numbers from 0 to 1 for a kill.
    private func random(_ number: Int, of item: Int) -> [Double] {
        Draws(seed: Self.seed).uniforms(.time, step: number, item: item, count: 2).map(Double.init)
    }

    @Test(arguments: Source.allCases) func aRunThatWasKilledEndsLikeOneThatWasNot(on source: Source) throws {
        let count = kills(on: source)
        try endRuns(SmallDisk.isPossible ? count - count / 3 : count, by: [.kill, .terminate], on: source)
    }

    @Test(.onSmallDisk, arguments: Source.allCases)
    func aRunWhoseDiskWasFullEndsLikeOneWhoseWasNot(on source: Source) throws {
        try endRuns(kills(on: source) / 3, by: [.fullDisk], on: source)
    }

    /// How many runs are ended, a third of them by a full disk where there can be one.
    private func kills(on source: Source) -> Int { source == .pictures ? count : max(3, count / 10) }

    @Test func aPreparationOfLatentsThatWasKilledMakesTheSameStore() throws {
        try withTemporaryFolder { folder in
            try writeImages(64, in: folder)
            let microseconds = try measure(prepare("whole"), in: folder)
            let whole = try files(folder + "/whole")
            for number in 0..<max(3, count / 20) {
                let process = try program(prepare("parts"), in: folder, environment: oneThread)
                try process.run()
                usleep(UInt32(Double(microseconds) * random(number, of: 0)[0]))
                Foundation.kill(process.processIdentifier, SIGKILL)
                process.waitUntilExit()
                let shards = try? files(folder + "/parts").filter { $0.key.hasPrefix("shard-") }
                for (name, bytes) in shards ?? [:] { #expect(whole[name] == bytes, "\(name)") }
            }
            #expect(try transcend(prepare("parts"), in: folder, environment: oneThread).status == 0)
            #expect(try files(folder + "/parts") == whole)
        }
    }

    /// Makes a store of latents, mirrored ones too, in shards of 8.
    private func prepare(_ out: String) -> [String] {
        [
            "prepare", "--data", "images", "--resolution", "24", "--autoencoder", smallAutoencoder, "--mirrored",
            "--shard-images", "8", "--out", out,
        ]
    }

    /// Runs the program to its end and gives the microseconds that it took.
    private func measure(_ arguments: [String], in folder: String) throws -> Int {
        let begin = DispatchTime.now().uptimeNanoseconds
        #expect(try transcend(arguments, in: folder, environment: oneThread).status == 0)
        return Int(DispatchTime.now().uptimeNanoseconds - begin) / 1000
    }

    /// Ends so many pipelines, in these ways by turns.
    private func endRuns(_ count: Int, by kills: [Kill], on source: Source) throws {
        try withTemporaryFolder { folder in
            var flags = flags
            if source == .latents {
                try writeImages(12, in: folder)
                #expect(try transcend(prepare("store"), in: folder, environment: oneThread).status == 0)
                flags += ["--data", "store", "--autoencoder", smallAutoencoder]
            }
            let microseconds = try measure(["pipeline", "--out", "whole"] + flags, in: folder)
            let twin = try results(of: folder + "/whole")
            #expect(twin.count == 4 + 4 + 2 + 4)

            let disk = kills.contains(.fullDisk) ? try SmallDisk(at: folder + "/disk", megabytes: 8) : nil
            defer { withExtendedLifetime(disk) {} }
            var endedEarly = 0
            for number in 0..<count {
                let (round, place) = number.quotientAndRemainder(dividingBy: kills.count)
                let (kill, moment) = (kills[place], Moment.allCases[(round + place) % 3])
                let run = kill == .fullDisk ? "disk/run" : "run"
                let random = random(number, of: 1 + Kill.allCases.firstIndex(of: kill)!)
                let status = try end(kill, at: moment, random, run: run, flags, in: folder, of: microseconds)
                if status != 0 { endedEarly += 1 }
                let continued = try transcend(
                    ["pipeline", "--out", run] + flags, in: folder, environment: oneThread)
                #expect(continued.status == 0, "\(number): \(kill) at \(moment): \(continued.errors)")
                var expected = twin
                // Pictures are given up when the disk is full.
                if kill == .fullDisk { expected = expected.filter { !$0.key.hasSuffix(".png") } }
                let found = try results(of: "\(folder)/\(run)").filter { expected[$0.key] != nil }
                for (name, bytes) in expected {
                    #expect(found[name] == bytes, "\(number): \(kill) at \(moment): \(name) differs")
                }
                try FileManager.default.removeItem(atPath: "\(folder)/\(run)")
            }
            print("\(endedEarly) of \(count) runs were ended before their end")
            #expect(endedEarly * 3 >= count)
        }
    }

    /// Several threads of so small a network only wait for each other.
    private let oneThread = ["OMP_NUM_THREADS": "1"]

    private var flags: [String] {
        tiny + ["--steps", "16", "--checkpoint-every", "4"]
            + ["output.sampleEvery=8", "preview.classes=1", "preview.perClass=1", "preview.sampler.steps=2"].flatMap {
                ["--set", $0]
            }
    }

    /// Starts the run and ends it; `microseconds` is how long it takes otherwise.
    private func end(
        _ kill: Kill, at moment: Moment, _ random: [Double], run: String, _ flags: [String], in folder: String,
        of microseconds: Int
    ) throws -> Int32 {
        let process = try program(["pipeline", "--out", run] + flags, in: folder, environment: oneThread)
        try process.run()
        switch moment {
        case .start: usleep(UInt32(300_000 * random[0]))
        case .anytime: usleep(UInt32(Double(microseconds) * random[0]))
        case .writing:
            let stage = random[0] < 0.5 ? "align" : "selfguided"
            waitForWriting(in: "\(folder)/\(run)/\(stage)", sightings: 1 + Int(12 * random[1]), while: process)
        }
        switch kill {
        case .kill: Foundation.kill(process.processIdentifier, SIGKILL)
        case .terminate: Foundation.kill(process.processIdentifier, SIGTERM)
        case .fullDisk: try fill(folder + "/disk", while: process)
        }
        process.waitUntilExit()
        let expected: Int32 =
            switch kill {
            case .kill: SIGKILL
            case .terminate: 143
            case .fullDisk: 1
            }
        let errors = try String(contentsOfFile: folder + "/.stderr", encoding: .utf8).split(separator: "\n")
            .filter { $0.contains("error") }
        #expect([0, expected].contains(process.terminationStatus), "\(kill) at \(moment): \(errors)")
        #expect(errors.count == (kill == .fullDisk && process.terminationStatus != 0 ? 1 : 0), "\(errors)")
        #expect(errors.allSatisfy { $0.contains("no space left on device") }, "\(errors)")
        return process.terminationStatus
    }

    /// Waits until a checkpoint is being written below a run, maybe not the first one, or the process has ended.
    private func waitForWriting(in run: String, sightings: Int, while process: Process) {
        var sightings = sightings
        while process.isRunning, sightings > 0 {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: run + "/checkpoints")) ?? []
            if names.contains(where: { $0.hasPrefix(".partial-") || $0.hasPrefix(".removed-") }) { sightings -= 1 }
            usleep(300)
        }
    }

    /// What a run must end with, by its place: the last checkpoints of both stages, the samples, and the metrics but for
    /// times and memory.
    private func results(of run: String) throws -> [String: Data] {
        var all: [String: Data] = [:]
        for stage in ["align", "selfguided"] {
            let rows = try String(contentsOfFile: "\(run)/\(stage)/metrics.jsonl", encoding: .utf8).split(
                separator: "\n")
            let values = try rows.map { row -> [String: Any] in
                let members = try #require(JSONSerialization.jsonObject(with: Data(row.utf8)) as? [String: Any])
                return members.filter { !["imagesPerSecond", "residentBytes", "liveTensors"].contains($0.key) }
            }
            all[stage + "/metrics"] = try JSONSerialization.data(withJSONObject: values, options: .sortedKeys)
            let folder = "\(stage)/checkpoints/step-0000016/"
            for name in ["model.safetensors", "ema.safetensors", "optimizer.safetensors", "state.json"] {
                all[folder + name] = FileManager.default.contents(atPath: "\(run)/\(folder)\(name)")
            }
            for step in ["08", "16"] {
                let picture = "\(stage)/samples/step-00000\(step).png"
                all[picture] = FileManager.default.contents(atPath: "\(run)/\(picture)")
            }
            let names = try FileManager.default.subpathsOfDirectory(atPath: "\(run)/\(stage)")
            #expect(!names.contains { $0.contains(".partial-") || $0.contains(".removed-") }, "\(names)")
        }
        return all
    }
}
