import Foundation
import TestSupport
import Testing

/// Processes that work together share the cores, so that these tests run one after another.
@Suite(.serialized) struct RanksTests {}

/// The files of a checkpoint that hold tensors.
let tensorFiles = ["model.safetensors", "ema.safetensors", "optimizer.safetensors"]

/// Flags that train a stage for seconds.
func train(_ stage: String, steps: Int) -> [String] {
    ["train", "--stage", stage, "--steps", "\(steps)", "--set", "schedule.decay=constant"]
        + (stage == "plain" ? plainTiny : alignTiny)
}

/// Runs the program alone, in one thread as each of several processes.
func run(_ arguments: [String], in folder: String) throws {
    let ended = try transcend(arguments, in: folder, environment: ["OMP_NUM_THREADS": "1"])
    #expect(ended.status == 0, "\(ended.errors)")
}

/// The bytes of a file.
func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

/// Processes of the program that are started together, on a free port.
final class Ranks {
    private let processes: [Process]
    private let folders: [String]

    /// `change` changes how one of them is started.
    init(
        _ count: Int, _ arguments: [String], in folder: String, more: (_ rank: Int) -> [String] = { _ in [] },
        change: (_ rank: Int, _ process: Process) throws -> Void = { _, _ in }
    ) throws {
        let port = try FreePort.number()
        folders = (0..<count).map { "\(folder)/rank-\($0)" }
        for folder in folders {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        }
        processes = try folders.enumerated().map { rank, folder in
            let process = try program(
                arguments + more(rank), in: folder, environment: Self.environment(rank, of: count, port: port))
            try change(rank, process)
            return process
        }
        for process in processes { try process.run() }
    }

    static func environment(_ rank: Int, of count: Int, port: Int = 29500) -> [String: String] {
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
}
