import ArgumentParser
import Formats
import Foundation
import Torch
import Transcend

/// The program: parses, runs, and turns every error into one line and an exit status.
@main
enum Program {
    /// Status of a command that could not do its work, and of one that was called wrongly.
    static let failure: Int32 = 1
    static let usage: Int32 = 2

    static func main() {
        signal(SIGPIPE, SIG_IGN)
        Interruption.watch()
        signal(SIGXFSZ, SIG_IGN)  // so that a limit of the size of files is an error of writing
        Library.keepFreedMemory()
        do {
            var command = try Root.parseAsRoot(StageFlags.gathered(Array(CommandLine.arguments.dropFirst())))
            try command.run()
        } catch let code as ExitCode {
            exit(code.rawValue)
        } catch {
            end(with: error)
        }
    }

    private static func end(with error: any Error) -> Never {
        // Help and version are "errors" of the parser that belong to stdout.
        if Root.exitCode(for: error) == .success {
            print(Root.fullMessage(for: error))
            exit(0)
        }
        let isUsage = error is ConfigurationError || Root.exitCode(for: error) == .validationFailure
        let text = isUsage && !(error is ConfigurationError) ? Root.message(for: error) : "\(error)"
        let line = text.split(whereSeparator: \.isNewline).joined(separator: " ")
        StandardError.write("transcend: error: \(line)\n")
        exit(isUsage ? usage : failure)
    }
}

struct Root: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "transcend",
        abstract: "Train diffusion transformers with Self-Transcendence, and sample from them.",
        discussion: """
            Start with `transcend pipeline --preset demo --out runs/demo`, then
            `transcend sample --checkpoint runs/demo --out samples.png`.
            """,
        version: Version.current,
        subcommands: [
            PrepareCommand.self, PipelineCommand.self, TrainCommand.self, SampleCommand.self, WatchCommand.self,
            InspectCommand.self, ImportCommand.self, ExportCommand.self, VerifyCommand.self, BenchCommand.self,
            DoctorCommand.self,
        ])
}

/// A line of progress or explanation; results go to stdout.
func say(_ line: String) { StandardError.write(line + "\n") }

/// An absolute form of a path that the user gave, so that a run can be continued from another folder.
func absolute(_ path: String) throws -> String {
    if path.isEmpty { throw ConfigurationError("a path is empty; give a file or folder") }
    return URL(fileURLWithPath: path).standardizedFileURL.path
}
