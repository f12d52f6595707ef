import Data
import Formats
import Foundation
import TestSupport
import Testing
import Torch

@Suite(.serialized) struct SignalTests {
    @Test(arguments: [(SIGINT, 130), (SIGTERM, 143), (SIGHUP, 129)] as [(Int32, Int32)])
    func aSignalWritesACheckpointAndSaysHowToContinue(number: Int32, status: Int32) throws {
        // Tests may have been started by nohup, which ignores it for all that they start.
        let before = signal(SIGHUP, SIG_DFL)
        defer { signal(SIGHUP, before) }
        try withTemporaryFolder { folder in
            let process = try start(["--steps", "100000"], in: folder)
            waitForLines(3, in: folder + "/run/metrics.jsonl", while: process)
            kill(process.processIdentifier, number)
            process.waitUntilExit()
            #expect(process.terminationStatus == status)
            let said = try String(contentsOfFile: folder + "/.stderr", encoding: .utf8)
            #expect(said.contains("the same command continues"))
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/run/checkpoints").count == 1)
        }
    }

    @Test func aSignalEndsAPreviewAndWritesACheckpoint() throws {
        try withTemporaryFolder { folder in
            // A preview of hours after the first step.
            let preview = ["output.sampleEvery=1", "preview.perClass=1024", "preview.sampler.steps=100000"]
            let flags = ["--steps", "5"] + preview.flatMap { ["--set", $0] }
            let process = try start(flags, in: folder)
            waitForLines(1, in: folder + "/run/metrics.jsonl", while: process)
            kill(process.processIdentifier, SIGTERM)
            process.waitUntilExit()
            #expect(process.terminationStatus == 143)
            #expect(FileManager.default.fileExists(atPath: folder + "/run/checkpoints/step-0000001/state.json"))
        }
    }

    /// The features of the third batch are never there, so that the program cannot end by itself.
    @Test(arguments: [SIGINT, SIGTERM]) func aSecondSignalLeavesAtOnce(signal: Int32) throws {
        try withTemporaryFolder { folder in
            let source = """
                def patches(self, x):
                    if x.size(0) == 8:
                        self.calls.add_(1)
                    while int(self.calls) > 2:
                        pass
                    return torch.transpose(torch.flatten(torch.avg_pool2d(x.float(), [6, 6]), 2), 1, 2)

                """
            let encoder = TorchScript.bytes(
                name: "HangingEncoder", source: source, tensors: [(name: "calls", tensor: Tensor([0]))])
            try Data(encoder).write(to: URL(fileURLWithPath: folder + "/hanging.pt"))
            let process = try program(
                ["train", "--stage", "repa", "--encoders", "hanging.pt", "--out", "run", "--steps", "9"] + alignTiny,
                in: folder)
            try process.run()
            waitForLines(1, in: folder + "/run/metrics.jsonl", while: process)
            kill(process.processIdentifier, SIGTERM)
            waitForText("once more leaves at once", in: folder + "/.stderr", while: process)
            kill(process.processIdentifier, signal)
            // At once; what does not leave is ended much later, so that the test ends too.
            let limit = Date() + 100
            while process.isRunning, Date() < limit { usleep(2000) }
            if process.isRunning { kill(process.processIdentifier, SIGKILL) }
            process.waitUntilExit()
            #expect(process.terminationReason == .exit && process.terminationStatus == 128 + signal)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder + "/run/checkpoints").isEmpty)
        }
    }

    @Test func whereNothingIsTrainedASignalEndsTheProgramAtOnce() throws {
        try withTemporaryFolder { folder in
            let process = try program(
                ["bench", "--hidden", "24", "--depth", "1", "--latent", "4", "--batch", "1", "--steps", "1000000"],
                in: folder)
            try process.run()
            waitForLines(1, in: folder + "/.stderr", while: process)
            kill(process.processIdentifier, SIGTERM)
            process.waitUntilExit()
            #expect(process.terminationReason == .exit && process.terminationStatus == 143)
        }
    }

    @Test func twoRunsReadAZipAndTrainOnABusyMachine() throws {
        try withTemporaryFolder { folder in
            try writeZip(of: 40, to: folder + "/pictures.zip")
            let busy = Process()
            busy.executableURL = URL(fileURLWithPath: "/bin/sh")
            busy.arguments = ["-c", "while :; do :; done"]
            try busy.run()
            defer {
                // Not by SIGTERM, which it may have been started with blocked.
                kill(busy.processIdentifier, SIGKILL)
                busy.waitUntilExit()
            }
            let flags = ["--steps", "12", "--checkpoint-every", "3", "--data", "../pictures.zip"]
            let places = try ["a", "b"].map { name in
                try FileManager.default.createDirectory(atPath: folder + "/" + name, withIntermediateDirectories: true)
                return folder + "/" + name
            }
            let processes = try places.map { try start(flags, in: $0) }
            // Seconds of work; processes that wait for each other would never end.
            let limit = Date() + 200
            for process in processes {
                while process.isRunning, Date() < limit { usleep(5000) }
                kill(process.processIdentifier, SIGKILL)
                process.waitUntilExit()
                #expect(process.terminationReason == .exit && process.terminationStatus == 0)
            }
            for place in places {
                let lines = try String(contentsOfFile: place + "/run/metrics.jsonl", encoding: .utf8).split(
                    separator: "\n")
                let steps = try lines.map {
                    try #require(JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])["step"] as? Int
                }
                #expect(steps == Array(0..<12))
            }
            let checkpoints = try places.map { try files($0 + "/run/checkpoints/step-0000012") }
            #expect(checkpoints[0] == checkpoints[1])
        }
    }

    /// Starts a plain run.
    private func start(_ flags: [String], in folder: String) throws -> Process {
        let process = try program(["train", "--stage", "plain", "--out", "run"] + plainTiny + flags, in: folder)
        try process.run()
        return process
    }

    /// A zip of stored PNG files, a folder for each of ten classes.
    private func writeZip(of count: Int, to path: String) throws {
        let pictures = Pictures(side: 24, count: count)
        var (local, central): ([UInt8], [UInt8]) = ([], [])
        func bytes(_ values: [(Int, Int)]) -> [UInt8] {
            values.flatMap { value, size in (0..<size).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
        }
        for index in 0..<count {
            let name = Array("\(pictures.classNames[pictures.label(index)])/\(index).png".utf8)
            let png = try ImageFile.encodePNG(pictures.image(index))
            let crc = Int(png.withUnsafeBytes { Checksum(of: $0).value })
            let common = [(20, 2), (0, 2), (0, 2), (0, 4), (crc, 4), (png.count, 4), (png.count, 4), (name.count, 2)]
            central += bytes([(0x0201_4b50, 4), (20, 2)] + common + [(0, 12), (local.count, 4)]) + name
            local += bytes([(0x0403_4b50, 4)] + common + [(0, 2)]) + name + png
        }
        let end = [(0x0605_4b50, 4), (0, 4), (count, 2), (count, 2), (central.count, 4), (local.count, 4), (0, 2)]
        try Data(local + central + bytes(end)).write(to: URL(fileURLWithPath: path))
    }
}
