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

    @Flag(help: "Decode every image of a data set, and list those that cannot be read.")
    var checkImages = false

    func run() throws {
        if checkImages { return print(try Inspection.checkedImages(of: absolute(path))) }
        print(try Inspection.text(of: path == DataConfiguration.embedded ? path : absolute(path)))
    }
}
