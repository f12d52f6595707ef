import ArgumentParser
import Diffusion
import Transcend

struct ExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write a checkpoint's weights for other programs.",
        usage: "transcend export --checkpoint <path> --out <path> [--weights <name>]")

    @Option(help: ArgumentHelp("A checkpoint, or a run: its newest.", valueName: "path"))
    var checkpoint: String
    @Option(
        help: ArgumentHelp(
            "NAME.safetensors or a folder with config.json: the network's weights; NAME.pt: all of the checkpoint.",
            valueName: "path"))
    var out: String
    @Option(help: ArgumentHelp("Averaged or raw; a .pt has both.", valueName: "name"))
    var weights = NetworkWeights.ema

    func run() throws {
        let path = try absolute(out)
        try CheckpointExport(Checkpoint(absolute(checkpoint))).write(weights, to: path)
        print(path)
    }
}
