import ArgumentParser
import Data
import Foundation
import Transcend

struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Print what a checkpoint, run, configuration, data set or safetensors file holds.")

    @Argument(help: "A checkpoint, run, config.json, folder or zip of images, 'pictures', or .safetensors file.")
    var path: String

    func run() throws { print(try Inspection.text(of: path == DataConfiguration.embedded ? path : absolute(path))) }
}
