import Data
import Formats
import Foundation
import Models
import Torch

/// Describes the content of a path.
public enum Inspection {
    /// A description of a checkpoint, a run, a safetensors file, or a data set.
    public static func text(of path: String) throws -> String {
        if path == DataConfiguration.embedded { return describe(Pictures()) }
        guard FileManager.default.fileExists(atPath: path) else {
            throw FileError(path, "does not exist", remedy: "give a checkpoint, a run, images or a .safetensors file")
        }
        if path.hasSuffix(".safetensors") { return try describe(SafetensorsFile(path: path)) }
        if path.hasSuffix(".json") { return try TrainingConfiguration(storedAt: path).text }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        if let product = try product(at: path, holding: names) { return product }
        if names.contains("config.json"), RunDirectory.newestCheckpoint(in: path) == nil {
            return "no checkpoint yet\n" + (try TrainingConfiguration(storedAt: path + "/config.json").text)
        }
        if !Set(names).isDisjoint(with: ["state.json", "config.json"] + Pipeline.stages) {
            return describe(try Checkpoint(path))
        }
        if StoreManifest.exists(in: path) { return try PackedStore(path: path).text }
        if let latents = try openLatents(path: path) {
            return describe(
                latents.location, labels: latents.entries.map(\.label), classNames: latents.classNames, of: "latent")
        }
        return try describe(openSource(path: path))
    }

    /// The result of decoding all images of a data set: the number of images per size, and those that cannot be read,
    /// with the reason.
    public static func checkedImages(of path: String) throws -> String {
        if Checkpoint.exists(at: path) {
            throw ConfigurationError(
                "--check-images \(path): it is a run or checkpoint; give the images of its training")
        }
        if StoreManifest.exists(in: path) {
            throw ConfigurationError(
                "--check-images \(path): it is a store; check it with transcend prepare --verify --out \(path)")
        }
        let source = try openSource(path: path)
        let check = ImageCheck(source)
        var text = describe(source) + "\n"
        if !check.sizes.isEmpty {
            var table = Table(.text("size"), .number("images"))
            for size in check.sizes.prefix(12) { table.append("\(size.width)x\(size.height)", "\(size.count)") }
            if check.sizes.count > 12 { table.append("\(check.sizes.count - 12) other sizes", "") }
            text += "\(table)\n"
        }
        text += "\(check.bad.count) of \(source.entries.count) images cannot be read"
        return text + check.bad.map { "\n" + "\($0.name): \($0.reason)".visible }.joined()
    }

    private static func describe(_ checkpoint: Checkpoint) -> String {
        let state = checkpoint.state
        let c = state.configuration.network
        var table = Table(.text("checkpoint"), .text(checkpoint.path))
        table.append("stage", state.configuration.method.name)
        table.append("step", "\(state.step) of \(state.configuration.steps)")
        if state.skips.total > 0 { table.append("skipped steps", "\(state.skips.total)") }
        table.append("images seen", readableCount(state.step * state.configuration.batch))
        table.append(
            "network",
            "depth \(c.depth), hidden size \(c.hidden), \(c.heads) heads, patch \(c.patchSize)"
                + (c.qkNorm ? ", QK-norm" : ""))
        table.append("input", "\(c.channels) x \(c.inputSize) x \(c.inputSize), \(c.tokens) tokens")
        if let latents = state.latents { table.append("latents", latents.identity) }
        table.append("parameters", readableCount(SiT(c, on: .meta).parameterCount))
        table.append("classes", shortList(state.classNames))
        return "\(table)\n\(state.configuration.text)"
    }

    static func describe(_ file: SafetensorsFile) -> String {
        var table = Table(.text("tensor"), .text("type"), .text("shape"))
        for name in file.names {
            guard let entry = file.entries[name] else { continue }
            table.append(name, entry.type.rawValue, "\(entry.shape)")
        }
        let metadata = file.metadata.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)".visible + "\n" }.joined()
        return metadata + "\(table)"
    }

    private static func describe(_ source: any ImageSource) -> String {
        let text = describe(source.location, labels: source.entries.map(\.label), classNames: source.classNames)
        return text + (source.unread.sentence.map { "\n" + $0.visible } ?? "")
    }

    private static func describe(_ pictures: Pictures) -> String {
        describe(
            "the embedded pictures", labels: (0..<pictures.count).map(pictures.label), classNames: pictures.classNames)
    }

    private static func describe(
        _ place: String, labels: [Int], classNames: [String], of what: String = "image"
    ) -> String {
        var counts = [Int](repeating: 0, count: classNames.count)
        for label in labels { counts[label] += 1 }
        var table = Table(.text("class"), .number("label"), .number(what + "s"))
        for (label, name) in classNames.enumerated() { table.append(name, "\(label)", "\(counts[label])") }
        return "\(place.visible): \(counted(labels.count, what)) in \(counted(classNames.count, "class"))\n\(table)"
    }

    /// The first names and their total number.
    private static func shortList(_ names: [String]) -> String {
        let more = names.count > 12 ? ", ... (\(names.count))" : ""
        return names.prefix(12).joined(separator: ", ") + more
    }
}

extension TrainingConfiguration {
    /// Every setting on a line of its own, "key = value".
    public var text: String {
        guard let tree = try? ConfigurationTree.tree(of: self) else { return "" }
        return ConfigurationTree.flattened(tree).map { "\($0.key) = \($0.value.text())".visible }.joined(
            separator: "\n")
    }
}
