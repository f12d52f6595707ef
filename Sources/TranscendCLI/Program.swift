import ArgumentParser
import Formats
import Foundation
import Torch
import Transcend

/// The program: parses, runs, and turns every error into one line and an exit status.
@main
enum Program {
    /// The exit statuses of a command that failed, and of one that was called wrongly.
    static let failure: Int32 = 1
    static let usage: Int32 = 2

    static func main() {
        openStandardDescriptors()
        signal(SIGPIPE, SIG_IGN)
        Interruption.watch()
        signal(SIGXFSZ, SIG_IGN)  // so that exceeding a file size limit is a write error
        endOnFailure.withLock { $0 = { end(with: $0) } }
        do {
            let arguments = try arguments()
            try checkCommands(arguments)
            var command = try Root.parseAsRoot(StageFlags.gathered(arguments))
            // Evaluation frees large arrays that are not needed again.
            if !(command is EvaluateCommand) { Library.keepFreedMemory() }
            try command.run()
            try checkOutput()
        } catch let code as ExitCode {
            exit(code.rawValue)
        } catch {
            end(with: error)
        }
    }

    /// Opens closed descriptors 0, 1 and 2, which would otherwise be reused for the first opened files, and receive the
    /// program's output.
    private static func openStandardDescriptors() {
        for descriptor in 0...2 where fcntl(Int32(descriptor), F_GETFD) < 0 { _ = open("/dev/null", O_RDONLY) }
    }

    /// The arguments after the program's name. Swift's own list replaces invalid UTF-8, so a path would be that of
    /// another file.
    private static func arguments() throws -> [String] {
        try (1..<max(1, Int(CommandLine.argc))).map { index in
            guard let bytes = CommandLine.unsafeArgv[index], let text = String(validatingCString: bytes) else {
                throw ConfigurationError(
                    "\(CommandLine.arguments[index]): this argument is not text in UTF-8; rename the file or folder")
            }
            return text
        }
    }

    /// Throws where a word that should name a command names none: the parser does not say which was meant, and `help` passes
    /// over it.
    private static func checkCommands(_ arguments: [String]) throws {
        var commands = Root.configuration.subcommands
        for word in arguments.drop(while: { $0 == "help" }) where !commands.isEmpty {
            if word.hasPrefix("-") { return }
            guard let command = commands.first(where: { $0.configuration.commandName == word }) else {
                let nearest = nearestName(to: word, among: commands.compactMap { $0.configuration.commandName })
                let hint = nearest == nil ? "; see --help" : didYouMean(nearest)
                throw ConfigurationError("\(word): there is no such command\(hint)")
            }
            commands = command.configuration.subcommands
        }
    }

    /// Throws if results could not be written. A reader that has closed the pipe, such as `head`, has what it wanted.
    private static func checkOutput() throws {
        errno = 0
        guard fflush(nil) != 0, errno != EPIPE else { return }
        throw FileError.system("standard output", "cannot be written", code: errno)
    }

    private static func end(with error: any Error) -> Never {
        // The parser reports help and version as "errors" that belong on stdout.
        if Root.exitCode(for: error) == .success {
            print(Root.fullMessage(for: error))
            do { try checkOutput() } catch { end(with: error) }
            exit(0)
        }
        let isUsage = error is ConfigurationError || Root.exitCode(for: error) == .validationFailure
        let text = isUsage && !(error is ConfigurationError) ? Root.message(for: error) : "\(error)"
        let line = text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
            .joined(separator: " ")
        say("transcend: error: \(line)")
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
            PrepareCommand.self, PipelineCommand.self, TrainCommand.self, SampleCommand.self, EvaluateCommand.self,
            FitExtractorCommand.self,
            CurveCommand.self, CompareCommand.self, FeaturesCommand.self,
            ProbeCommand.self, ReportCommand.self, WatchCommand.self, InspectCommand.self, ImportCommand.self,
            ExportCommand.self,
            VerifyCommand.self,
            BenchCommand.self,
            DoctorCommand.self,
        ])
}

/// A line of progress or explanation; results go to stdout. Control characters in it are shown as escapes.
func say(_ line: String) { StandardError.write(line.visible + "\n") }

/// The absolute form of a path given by the user, so that a run can be continued from another folder.
func absolute(_ path: String) throws -> String {
    if path.isEmpty { throw ConfigurationError("a path is empty; give a file or folder") }
    return URL(fileURLWithPath: path).standardizedFileURL.path
}
