import ArgumentParser
import Data
import Formats
import Foundation
import Models
import Torch
import Transcend

struct PrepareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prepare",
        abstract: "Crop images, encode them, and pack them into a store for training.",
        usage: "transcend prepare --data <path> [--autoencoder <path>] --out <folder> [<options>]",
        discussion: """
            The centre square of each image becomes a picture of --resolution pixels, and with --autoencoder its latent. \
            Latents that others have made (the published layout, LightningDiT's safetensors) are imported. The same \
            command continues what was killed.
            """)

    /// The content of records.
    enum Mode: String, ExpressibleByArgument, CaseIterable { case pixels, latents }

    /// The element type of latents.
    enum Number: String, ExpressibleByArgument, CaseIterable { case f16, f32 }

    @Option(help: ArgumentHelp("Folder, zip or tar of class folders, or latents to import.", valueName: "path"))
    var data: String?
    @Option(help: ArgumentHelp("Folder of the store; the same command continues it.", valueName: "path"))
    var out: String
    @Option(help: ArgumentHelp("Side of the pictures in pixels. (default: 256)", valueName: "n"))
    var resolution: Int?
    @Option(
        help: ArgumentHelp(
            "What is stored of an image. (default: latents with --autoencoder)", valueName: "name"))
    var mode: Mode?
    @Option(
        help: ArgumentHelp(
            "Autoencoder of the latents: a folder of diffusers, or a file of TAESD's family beside its other half.",
            valueName: "path"))
    var autoencoder: String?
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Encoders whose features of patches are stored too, for repa: weights of DINOv2, or TorchScript.",
            valueName: "file"))
    var features: [String] = []
    @Option(
        help: ArgumentHelp(
            "Patches on a side that DINOv2 sees of a picture. (default: a sixteenth of --resolution)", valueName: "n"))
    var featureGrid: Int?
    @Flag(help: "Store the latents and features of the mirrored images too, for data.flips.")
    var mirrored = false
    @Option(help: ArgumentHelp("Numbers of latents. (default: f16)", valueName: "type"))
    var type: Number?
    @Option(help: ArgumentHelp("Of the autoencoder's products. (default: f32)", valueName: "type"))
    var precision: Precision?
    @Option(help: ArgumentHelp("Of the autoencoder: auto, cpu, cuda or cuda:N. (default: auto)", valueName: "name"))
    var device: String?
    @Option(
        help: ArgumentHelp(
            "PNG of originals above what their latents decode to; their PSNR is printed.", valueName: "path"))
    var sheet: String?
    @Option(help: ArgumentHelp("Images that are decoded for it, spread over the store. (default: 32)", valueName: "n"))
    var sheetImages: Int?
    @Option(help: ArgumentHelp("Images in a file. (default: what 256 MB hold, at most 1024)", valueName: "n"))
    var shardImages: Int?
    @Flag(help: "Pass over images that cannot be read; their names are shown and counted.")
    var skipBadImages = false
    @Flag(help: "Read a finished store and compare the checksums of its files.")
    var verify = false
    @OptionGroup var ranks: RankOptions

    func validate() throws {
        if verify, data != nil { throw ValidationError("--verify: reads the store --out; omit --data") }
        if !verify, data == nil { throw ValidationError("--data: give the images to prepare") }
        if let resolution, !(8...4096).contains(resolution) {
            throw ValidationError("--resolution \(resolution): give 8 to 4096")
        }
        if let shardImages, !(1...1 << 20).contains(shardImages) {
            throw ValidationError("--shard-images \(shardImages): give 1 to \(1 << 20)")
        }
        if let featureGrid, !(1...256).contains(featureGrid) {
            throw ValidationError("--feature-grid \(featureGrid): give 1 to 256")
        }
        if mode == .latents, autoencoder == nil {
            throw ValidationError("--mode latents: give their --autoencoder")
        }
        if let sheetImages, sheetImages < 1 { throw ValidationError("--sheet-images \(sheetImages): give 1 or more") }
        if sheetImages != nil, sheet == nil { throw ValidationError("--sheet-images: give --sheet NAME.png too") }
        if let device, let problem = deviceProblem(device) { throw ValidationError("--device: \(problem)") }
    }

    func run() throws {
        let out = try absolute(out)
        guard let data = try data.map(absolute) else { return try verifyStore(out) }
        if (out + "/").hasPrefix(data + "/") {
            throw ConfigurationError(
                "--out \(out): it lies in --data, and would be read as images of it; give another place")
        }
        if StoreManifest.exists(in: data) {
            throw ConfigurationError("--data \(data): it is a store already; train on it, or give what it was made of")
        }
        if let latents = try openLatents(path: data) {
            try importLatents(latents, to: out)
        } else if let autoencoder, mode != .pixels {
            try encode(openSource(path: data), autoencoder: absolute(autoencoder), to: out)
        } else {
            let flags = forLatents.filter { features.isEmpty || !["--mirrored", "--device"].contains($0.flag) }
            try reject(flags, "pixels are stored as they are; omit it")
            try prepare(openSource(path: data), PixelEncoder(resolution: side), to: out, on: chosenDevice())
        }
    }

    /// The side of the pictures.
    private var side: Int { resolution ?? 256 }

    /// The flags that are only meaningful with an autoencoder, and whether they were given.
    private var forLatents: [(flag: String, isGiven: Bool)] {
        [
            ("--autoencoder", autoencoder != nil), ("--type", type != nil), ("--mirrored", mirrored),
            ("--precision", precision != nil), ("--device", device != nil), ("--sheet", sheet != nil),
        ]
    }

    private func reject(_ flags: [(flag: String, isGiven: Bool)], _ reason: String) throws {
        if let flag = flags.first(where: \.isGiven)?.flag { throw ConfigurationError("\(flag): \(reason)") }
    }

    /// The device of the networks.
    private func chosenDevice() throws -> Device {
        let name = device ?? "auto"
        return try Launch()?.device(named: name) ?? chooseDevice(name)
    }

    /// The element type of the records.
    private var elementType: ElementType { type == .f32 ? .F32 : .F16 }

    private func encode(_ source: any ImageSource, autoencoder path: String, to out: String) throws {
        let (precision, device) = (precision ?? .f32, try chosenDevice())
        let autoencoder = try AutoencoderFiles.open(path, on: device)
        let encoder = try LatentEncoder(
            autoencoder, resolution: side, type: elementType, hasMirrored: mirrored, precision: precision, on: device)
        guard let store = try prepare(source, encoder, to: out, on: device), let sheet = try sheet.map(absolute) else {
            return
        }
        let progress = ProgressLine(stage: "decode", total: min(sheetImages ?? 32, store.count), imagesPerStep: 1)
        let result = try Reconstruction(
            of: store, source: source, autoencoder: autoencoder, count: sheetImages ?? 32, precision: precision,
            on: device
        ) { progress.update(step: $0) }
        progress.finish()
        try ImageFile.writePNG(result.sheet, to: sheet)
        let mean = String(format: "%.2f", result.meanRatio)
        print("PSNR of what \(result.ratios.count) latents decode to: \(mean) dB on average\n\(sheet)")
    }

    @discardableResult
    private func prepare(
        _ source: any ImageSource, _ encoder: any PictureEncoder, to out: String, on device: Device
    ) throws -> PackedStore? {
        let grid = featureGrid ?? EncoderFiles.grid(ofSide: side)
        let encoders = try features.map { path in
            try StoredEncoder(
                EncoderFiles.open(absolute(path), grid: grid, on: device), resolution: side, hasMirrored: mirrored)
        }
        let names = encoders.map(\.layout.name)
        if let name = names.first(where: { name in names.count { $0 == name } > 1 }) {
            throw ConfigurationError("--features: two files are called \(name); give them different names")
        }
        var settings = Preparation.Settings(resolution: side)
        settings.skipsBadImages = skipBadImages
        settings.imagesPerShard = shardImages
        return try ranks.join(device: self.device ?? "auto") { world in
            let progress = ProgressLine(stage: "prepare", total: source.entries.count, imagesPerStep: 1)
            if world.isFirst, let note = source.unread.sentence { progress.note("warning: \(note)") }
            let store = try Preparation(source, encoder, features: encoders, settings).run(to: out, in: world) {
                if world.isFirst { progress.update(step: $0) }
            } skipped: {
                if world.isFirst { progress.note("left out: \($0)") }
            }
            progress.finish()
            guard world.isFirst else { return nil }
            let labels = Set((0..<store.count).map(store.label))
            for (label, name) in store.classNames.enumerated() where !labels.contains(label) {
                say("warning: all images of the class \(name) are bad: the store has none of it")
            }
            print(store.text)
            return store
        }
    }

    private func importLatents(_ latents: any LatentSource, to out: String) throws {
        let forImages =
            [("--resolution", resolution != nil), ("--mode", mode != nil), ("--skip-bad-images", skipBadImages)]
            + [("--features", !features.isEmpty), ("--feature-grid", featureGrid != nil)]
            + forLatents.filter { $0.flag != "--type" }
        try reject(forImages, "\(latents.location) holds latents, which are imported as they are")
        // Nothing is computed here, so one process does it alone.
        if let launch = try Launch(), launch.rank > 0 { return }
        let progress = ProgressLine(stage: "import", total: latents.entries.count, imagesPerStep: 1)
        let work = LatentImport(latents, type: elementType, imagesPerShard: shardImages)
        let store = try work.run(to: out) { progress.update(step: $0) }
        progress.finish()
        print(store.text)
    }

    private func verifyStore(_ path: String) throws {
        if let launch = try Launch(), launch.rank > 0 { return }
        let store = try PackedStore(path: path)
        let progress = ProgressLine(stage: "verify", total: store.count, imagesPerStep: 1)
        let damages = store.damages { progress.update(step: $0) }
        progress.finish()
        for damage in damages { print("\(damage)".visible) }
        print("\(counted(store.manifest.shards.count - damages.count, "whole file")), \(damages.count) damaged")
        if !damages.isEmpty { throw ExitCode(Program.failure) }
    }
}
