import ArgumentParser
import Formats
import Foundation
import Transcend

struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Make one page about a run: curves, samples, evaluations, configuration.",
        usage: "transcend report <run> [--out <file>]",
        discussion: """
            The page is one file of HTML that needs nothing else. Evaluations are those that evaluate and curve have \
            left in the run's folder, sheets those of features and probe.
            """)

    @Argument(help: ArgumentHelp("Folder of a run or of a pipeline.", valueName: "run"))
    var path: String
    @Option(help: ArgumentHelp("The page. (default: report.html in the folder)", valueName: "file"))
    var out: String?

    func run() throws {
        let folder = try absolute(path)
        let target = try out.map(absolute) ?? folder + "/report.html"
        let page = try RunReport(path: folder).page()
        try AtomicFile.write(page, to: target)
        print(target)
    }
}
