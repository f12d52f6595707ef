import ArgumentParser
import Data
import Diffusion
import Foundation
import Transcend

struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Print what a checkpoint, run, configuration, data set or safetensors file holds.",
        usage: """
            transcend inspect <path>
            transcend inspect --config [<file>] [--preset <name>] [--stage <stage>] [--markdown]
            """,
        discussion: "With --config, every setting: its value, default, unit, range and meaning.")

    @Argument(
        help: "A checkpoint, run, comparison, export, config.json, data set, store, 'pictures', .npz or .safetensors.")
    var path: String?
    @Flag(help: "Explain every setting, as it is in <path> (YAML or JSON) or by default.")
    var config = false
    @Option(help: "One stage only: \(Methods.names).")
    var stage: String?
    @Flag(help: "As the page docs/settings.md.")
    var markdown = false
    @OptionGroup var start: StartOptions

    @Flag(help: "Decode every image of a data set, and list those that cannot be read.")
    var checkImages = false

    func validate() throws {
        if config, checkImages {
            throw ValidationError("--check-images reads a data set, --config explains settings; leave one out")
        }
        if config { return }
        guard path != nil else { throw ValidationError("Missing expected argument '<path>'") }
        let needing = [("--stage", stage != nil), ("--markdown", markdown), ("--preset", start.preset != nil)]
        if let flag = (needing + [("--reading", start.reading != nil)]).first(where: \.1)?.0 {
            throw ValidationError("\(flag) explains settings: give --config too")
        }
    }

    func run() throws {
        guard config else {
            let path = path ?? ""
            if checkImages { return print(try Inspection.checkedImages(of: absolute(path))) }
            return print(try Inspection.text(of: path == DataConfiguration.embedded ? path : absolute(path)))
        }
        let file = try path.map(ConfigurationFile.init)
        let stages = (stage ?? file?.stage?.name).map { [$0] } ?? Methods.all.map { $0.name }
        let reference = try SettingsReference(start.builder(file: file), stages: stages)
        print(markdown ? reference.markdown : reference.text, terminator: markdown ? "" : "\n")
    }
}
