import ArgumentParser
import Transcend

struct ImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Make a checkpoint from one that SiT, REPA or Self-Transcendence published.",
        usage: "transcend import <file> --out <folder> [--heads <n>]",
        discussion: "What the network is comes from the weights; nothing in the file is executed.")

    @Argument(help: "A .pt, .pth, .bin or .safetensors file, or a folder with diffusion_pytorch_model.safetensors.")
    var file: String
    @Option(help: ArgumentHelp("The checkpoint's folder, which is made.", valueName: "folder"))
    var out: String
    @Option(help: ArgumentHelp("Attention heads, where the weights do not tell.", valueName: "n"))
    var heads: Int?

    func run() throws {
        let (path, folder) = (try absolute(file), try absolute(out))
        let checkpoint = try CheckpointImport(PublishedCheckpoint(path: path), heads: heads)
        try checkpoint.write(to: folder)
        for warning in checkpoint.warnings { say("transcend: warning: \(path): \(warning)") }
        print(folder)
    }
}
