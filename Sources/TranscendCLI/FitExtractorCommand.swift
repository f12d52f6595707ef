import ArgumentParser
import Data
import Evaluation
import Formats
import Foundation
import Torch
import Transcend

struct FitExtractorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fit-extractor",
        abstract: "Train a small classifier of labelled images, by whose features samples can be measured.",
        usage: "transcend fit-extractor --data <path> --out <file> [<options>]",
        discussion: """
            The file is a TorchScript module that any PyTorch reads: forward(images) returns features and logits, \
            patches(images) the features of places. A tenth of the images is held out, and the share of them that it \
            recognises is printed.
            """)

    @Option(
        help: ArgumentHelp("Folder, zip or tar of class folders, a store of pixels, or 'pictures'.", valueName: "path"))
    var data: String
    @Option(help: ArgumentHelp("The file, NAME.pt.", valueName: "file"))
    var out: String
    @Option(
        help: ArgumentHelp(
            "Side of the images, a multiple of 8; others are refused. (default: 32, pictures: 24, a store: its own)",
            valueName: "n"))
    var resolution: Int?
    @Option(help: ArgumentHelp("Steps of 128 images.", valueName: "n"))
    var steps = 1_500
    @Flag(help: "Do not mirror images at random.")
    var keepSides = false
    @Option(help: ArgumentHelp("Seed of order and weights.", valueName: "n"))
    var seed: UInt64 = 0

    func run() throws {
        guard out.hasSuffix(".pt") else { throw ConfigurationError("--out \(out): give the name of a .pt file") }
        guard (1...1_000_000).contains(steps) else { throw ConfigurationError("--steps \(steps): give 1 to 1000000") }
        if let resolution, !(8...512).contains(resolution) || !resolution.isMultiple(of: 8) {
            throw ConfigurationError("--resolution \(resolution): give a multiple of 8 from 8 to 512")
        }
        let target = try absolute(out)
        try AtomicFile.check(target)
        let source = data == DataConfiguration.embedded ? data : try absolute(data)
        let dataset = try TrainingData.pixels(of: source, side: resolution)
        if let note = dataset.unread.sentence { say("warning: \(note)") }
        let progress = ProgressLine(stage: "extractor", total: steps, imagesPerStep: 128)
        let fit = try ExtractorFit(dataset, steps: steps, mirrors: !keepSides, seed: seed) { step, loss in
            progress.update(step: step, values: [("loss", loss())])
        }
        progress.finish()
        let bytes = try fit.bytes()
        try AtomicFile.write(bytes, to: target)
        let percent = String(format: "%.1f", 100 * fit.accuracy)
        print("recognises \(percent) % of \(fit.pictures.heldOut) images that were held out of \(dataset.count)")
        print(target)
    }
}
