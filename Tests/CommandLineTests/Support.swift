import Data
import Foundation
import TestSupport

/// How a run of the program ended.
struct Ended {
    let status: Int32
    let output: String
    let errors: String

    /// What was written to stderr, line by line.
    var errorLines: [Substring] { errors.split(separator: "\n") }
}

/// The program with its arguments, not yet started; its output goes to files in `folder`.
func program(_ arguments: [String], in folder: String, environment: [String: String] = [:]) throws -> Process {
    let process = Process()
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.executableURL = repository.appendingPathComponent(".build/release/transcend")
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: folder)
    for (name, keyPath) in [("out", \Process.standardOutput), ("err", \Process.standardError)] {
        let path = folder + "/.std" + name
        _ = FileManager.default.createFile(atPath: path, contents: nil)
        process[keyPath: keyPath] = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    }
    return process
}

/// Runs the program to its end; `prepare` can change how it is started.
func transcend(
    _ arguments: [String], in folder: String, environment: [String: String] = [:],
    prepare: (Process) throws -> Void = { _ in }
) throws -> Ended {
    let process = try program(arguments, in: folder, environment: environment)
    try prepare(process)
    try process.run()
    process.waitUntilExit()
    func text(_ name: String) throws -> String {
        let text = try String(contentsOfFile: folder + "/.std" + name, encoding: .utf8)
        try FileManager.default.removeItem(atPath: folder + "/.std" + name)
        return text
    }
    return Ended(status: process.terminationStatus, output: try text("out"), errors: try text("err"))
}

/// Writes embedded pictures as files of two classes, into `images` below a folder.
func writeImages(_ count: Int, side: Int = 28, in folder: String) throws {
    let pictures = Pictures(side: side)
    try writeClassFolders(count, to: folder + "/images") { try ImageFile.encodePNG(pictures.image($0)) }
}

/// The bytes of the files in a folder, by name.
func files(_ folder: String) throws -> [String: Data] {
    let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: folder + "/" + $0, isDirectory: &isFolder) && !isFolder.boolValue
    }
    return try Dictionary(
        uniqueKeysWithValues: names.map { ($0, try Data(contentsOf: URL(fileURLWithPath: folder + "/" + $0))) })
}

/// Flags of a run that takes seconds.
let tiny = [
    "--preset", "demo", "--batch", "8", "--set", "network.hidden=16", "--set", "network.depth=2", "--set",
    "network.heads=2", "--set", "network.patchSize=6", "--head-width", "16", "--student-depth", "1", "--teacher-depth",
    "2", "--sample-every", "0", "--set", "output.logEvery=1",
]

/// Those of them that plain training knows.
let plainTiny = without(["--head-width", "--student-depth", "--teacher-depth"])

/// Those of them that stage 1 knows.
let alignTiny = without(["--teacher-depth"])

private func without(_ flags: [String]) -> [String] {
    var kept = tiny
    for flag in flags {
        if let index = kept.firstIndex(of: flag) { kept.removeSubrange(index...index + 1) }
    }
    return kept
}

/// Waits until a file has that many lines, or the process has ended.
func waitForLines(_ count: Int, in path: String, while process: Process) {
    wait(for: path, while: process) { $0.split(separator: "\n").count >= count }
}

/// Waits until a file holds a text, or the process has ended.
func waitForText(_ text: String, in path: String, while process: Process) {
    wait(for: path, while: process) { $0.contains(text) }
}

private func wait(for path: String, while process: Process, until isDone: (_ text: String) -> Bool) {
    while process.isRunning {
        if isDone((try? String(contentsOfFile: path, encoding: .utf8)) ?? "") { return }
        usleep(2000)
    }
}
