import ArgumentParser
import Data
import Foundation
import Transcend

struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Print what a checkpoint, run, data set or safetensors file holds.")

    @Argument(help: "A checkpoint, a run, a folder or zip of images, or a .safetensors file.")
    var path: String

    func run() throws { print(try Inspection.text(of: absolute(path))) }
}
