// Feeds damaged files to every reader of files from strangers:
//
//     Fuzz COUNT [--format NAME] [--first N]
//
// Each input may end in a value, a `FileError` or a `ConfigurationError`, and in nothing else. A crash, more than a few seconds for one input, or
// more memory than a small multiple of a file's size ends the process; the input is then left in the folder that the first
// line names. Inputs are numbered, and the same number gives the same input.
import Data
import Formats
import Foundation
import Transcend

/// More than the process has at its start; the files have kilobytes.
let memoryLimit = 256 << 20
/// Of one input.
let secondsLimit: UInt32 = 5

/// A line at once, also where the process is killed later.
func say(_ text: String) { FileHandle.standardOutput.write(Foundation.Data((text + "\n").utf8)) }

func fail(_ text: String) -> Never {
    FileHandle.standardError.write(Foundation.Data("Fuzz: \(text)\n".utf8))
    exit(1)
}

func value(of flag: String) -> String? {
    guard let index = CommandLine.arguments.firstIndex(of: flag), index + 1 < CommandLine.arguments.count else {
        return nil
    }
    return CommandLine.arguments[index + 1]
}

/// Fails every request for memory beyond the limit, for whatever purpose.
func limitMemory() {
    let text = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8)) ?? ""
    let pages = text.split(separator: " ").first.flatMap { Int($0) } ?? 0
    var limit = rlimit(rlim_cur: rlim_t(pages * sysconf(Int32(_SC_PAGESIZE)) + memoryLimit), rlim_max: rlim_t.max)
    if pages == 0 || setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) != 0 {
        fail("memory cannot be limited")
    }
}

func run() throws {
    guard CommandLine.arguments.count > 1, let count = Int(CommandLine.arguments[1]), count > 0 else {
        fail("give the number of inputs for each format")
    }
    let first = value(of: "--first").flatMap { Int($0) } ?? 0
    let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path
    let place = FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()
    let folder = "\(place)/transcend-fuzz-\(getpid())"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    say(folder)
    let subjects = try Subject.all(repository: repository, folder: folder)
    limitMemory()
    for (kind, subject) in subjects.enumerated() where value(of: "--format").map(subject.name.hasPrefix) ?? true {
        let path = "\(folder)/\(subject.file ?? subject.name)"
        var (values, errors) = (0, 0)
        for number in first..<first + count {
            var mutator = Mutator(random: RandomNumbers(seed: UInt64(number) &* 64 &+ UInt64(kind)))
            let seed = mutator.random.element(subject.seeds)
            var input = mutator.mutate(seed, other: mutator.random.element(subject.seeds))
            if mutator.random.below(2) == 0 { subject.repair(&input) }
            guard FileManager.default.createFile(atPath: path, contents: Foundation.Data(input)) else {
                fail("\(path) cannot be written")
            }
            alarm(secondsLimit)
            do {
                try subject.read(path)
                values += 1
            } catch  where error is FileError || error is ConfigurationError {
                errors += 1
            } catch {
                fail("\(subject.name) input \(number): an error of another kind: \(error)")
            }
            alarm(0)
        }
        say("\(subject.name): \(count) inputs, \(values) read, \(errors) errors")
    }
    try FileManager.default.removeItem(atPath: folder)
}

do { try run() } catch { fail("\(error)") }
