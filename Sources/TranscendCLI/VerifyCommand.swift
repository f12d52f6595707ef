import ArgumentParser
import Foundation
import Torch
import Transcend

struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check this build against golden files of the reference.",
        usage: "transcend verify <directory> [--models <folder>] [--precision <type>] [<options>]",
        discussion: """
            Exit status 1 if a case fails, 2 if there is nothing to check. In bf16 the errors are allowed to be \
            \(Int(Verification.bf16Allowance)) times those of f32.
            """)

    @Argument(help: "Folder with golden files, in it or below it.")
    var directory: String
    @Option(help: ArgumentHelp("Folder with published weights that some cases need.", valueName: "folder"))
    var models: String?
    @Option(help: ArgumentHelp("auto, cpu, cuda or cuda:N.", valueName: "name"))
    var device = "cpu"
    @Option(help: ArgumentHelp("Of products.", valueName: "type"))
    var precision = Precision.f32
    @OptionGroup var kernelOptions: KernelOptions

    func run() throws {
        if let problem = deviceProblem(device) { throw ConfigurationError("--device: \(problem)") }
        let directory = try absolute(directory)
        var isFolder: ObjCBool = false
        if let models, !FileManager.default.fileExists(atPath: models, isDirectory: &isFolder) || !isFolder.boolValue {
            throw ConfigurationError("--models \(models): there is no such folder")
        }
        let rows: [VerificationRow]
        do {
            rows = try kernelOptions.run {
                try Verification.run(
                    directory: directory, models: models, device: chooseDevice(device), precision: precision)
            }
        } catch {
            // Status 2 tells a script that nothing was checked, as opposed to 1 for a case that failed.
            throw ConfigurationError("\(error)")
        }
        print(Self.table(rows))
        let failed = rows.filter(\.isFailure).count
        let skipped = rows.filter(\.isSkipped).count
        print("\n\(rows.count - failed - skipped) passed, \(failed) failed, \(skipped) skipped")
        if failed > 0 { throw ExitCode(Program.failure) }
    }

    private static func table(_ rows: [VerificationRow]) -> Table {
        var table = Table(
            .text("case"), .text("kind"), .text("values"), .number("worst error"), .number("allowed"), .text("result"),
            .text("where"))
        for row in rows {
            let (result, place) =
                switch row.outcome {
                case .passed: ("pass", row.worstName)
                case .failed: ("FAIL", row.worstName)
                case .skipped(let reason): ("skipped", reason)
                case .broken(let reason): ("FAIL", reason)
                }
            let isMeasured = row.outcome == .passed || row.outcome == .failed
            table.append(
                row.file.replacingOccurrences(of: ".safetensors", with: ""), row.kind, row.values,
                isMeasured ? scientific(row.worstError) : "", isMeasured ? scientific(row.tolerance) : "", result, place
            )
        }
        return table
    }
}

extension VerificationRow {
    fileprivate var isSkipped: Bool { if case .skipped = outcome { true } else { false } }
    fileprivate var isFailure: Bool { !isSkipped && outcome != .passed }
}

/// An error with two digits: 1.2e-07.
private func scientific(_ value: Double) -> String { String(format: "%.1e", value) }
