import ArgumentParser
import Data
import Formats
import Foundation
import Transcend

struct PrepareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prepare",
        abstract: "Crop images and pack them into a store for training.",
        usage: "transcend prepare --data <path> --out <folder> --mode pixels --resolution 256 [<options>]",
        discussion: """
            The centre square of each image becomes a picture of --resolution pixels. Latents that others have made \
            (the published layout, LightningDiT's safetensors) are imported. The same command continues what was killed.
            """)

    /// What records are made of images.
    enum Mode: String, ExpressibleByArgument, CaseIterable { case pixels }

    @Option(help: ArgumentHelp("Folder, zip or tar of class folders, or latents to import.", valueName: "path"))
    var data: String?
    @Option(help: ArgumentHelp("Folder of the store; the same command continues it.", valueName: "path"))
    var out: String
    @Option(help: ArgumentHelp("Side of the pictures in pixels. (default: 256)", valueName: "n"))
    var resolution: Int?
    @Option(help: ArgumentHelp("What is stored of an image: pixels. (default: pixels)", valueName: "name"))
    var mode: Mode?
    @Option(help: ArgumentHelp("Numbers of imported latents: f16 or f32. (default: f16)", valueName: "type"))
    var type: String?
    @Option(help: ArgumentHelp("Images in a file. (default: what 256 MB hold, at most 1024)", valueName: "n"))
    var shardImages: Int?
    @Flag(help: "Pass over images that cannot be read; their names are shown and counted.")
    var skipBadImages = false
    @Flag(help: "Read a finished store and compare the checksums of its files.")
    var verify = false

    func validate() throws {
        if verify, data != nil { throw ValidationError("--verify: reads the store --out; leave --data away") }
        if !verify, data == nil { throw ValidationError("--data: give the images to prepare") }
        if let resolution, !(8...4096).contains(resolution) {
            throw ValidationError("--resolution \(resolution): give 8 to 4096")
        }
        if let shardImages, !(1...1 << 20).contains(shardImages) {
            throw ValidationError("--shard-images \(shardImages): give 1 to \(1 << 20)")
        }
        if let type, !["f16", "f32"].contains(type) { throw ValidationError("--type \(type): give f16 or f32") }
    }

    func run() throws {
        let out = try absolute(out)
        guard let data = try data.map(absolute) else { return try verifyStore(out) }
        if let latents = try openLatents(path: data) {
            try importLatents(latents, to: out)
        } else {
            try prepare(openSource(path: data), to: out)
        }
    }

    private func prepare(_ source: any ImageSource, to out: String) throws {
        if type != nil { throw ConfigurationError("--type: pixels are bytes; leave it away") }
        var settings = Preparation.Settings(resolution: resolution ?? 256)
        settings.skipsBadImages = skipBadImages
        settings.imagesPerShard = shardImages
        let encoder = PixelEncoder(resolution: settings.resolution)
        let progress = ProgressLine(stage: "prepare", total: source.entries.count, imagesPerStep: 1)
        let store = try Preparation(source, encoder, settings).run(to: out) {
            progress.update(step: $0)
        } skipped: {
            progress.note("left out: \($0)")
        }
        progress.finish()
        print(store.text)
    }

    private func importLatents(_ latents: any LatentSource, to out: String) throws {
        let given = [
            ("--resolution", resolution != nil), ("--mode", mode != nil), ("--skip-bad-images", skipBadImages),
        ]
        if let flag = given.first(where: \.1)?.0 {
            throw ConfigurationError("\(flag): \(latents.location) holds latents, which are imported as they are")
        }
        let progress = ProgressLine(stage: "import", total: latents.entries.count, imagesPerStep: 1)
        let work = LatentImport(latents, type: type == "f32" ? .F32 : .F16, imagesPerShard: shardImages)
        let store = try work.run(to: out) { progress.update(step: $0) }
        progress.finish()
        print(store.text)
    }

    private func verifyStore(_ path: String) throws {
        let store = try PackedStore(path: path)
        let progress = ProgressLine(stage: "verify", total: store.count, imagesPerStep: 1)
        let damages = store.damages { progress.update(step: $0) }
        progress.finish()
        for damage in damages { print(damage) }
        print("\(store.manifest.shards.count - damages.count) files are whole, \(damages.count) damaged")
        if !damages.isEmpty { throw ExitCode(Program.failure) }
    }
}
