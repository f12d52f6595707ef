import Data
import Formats
import Foundation
import Models
import Torch

/// Describes what a path holds.
public enum Inspection {
    /// A checkpoint, a run, a safetensors file, or a data set, whichever it is.
    public static func text(of path: String) throws -> String {
        guard FileManager.default.fileExists(atPath: path) else {
            throw FileError(path, "does not exist", remedy: "give a checkpoint, a run, images or a .safetensors file")
        }
        if path.hasSuffix(".safetensors") { return try describe(SafetensorsFile(path: path)) }
        if let checkpoint = try? Checkpoint(path) { return describe(checkpoint) }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        if names.contains("state.json") || names.contains("checkpoints") { return describe(try Checkpoint(path)) }
        return describe(try openSource(path: path))
    }

    private static func describe(_ checkpoint: Checkpoint) -> String {
        let state = checkpoint.state
        let c = state.configuration.network
        var table = Table(.text("checkpoint"), .text(checkpoint.path))
        table.append("stage", state.configuration.method.name)
        table.append("step", "\(state.step) of \(state.configuration.steps)")
        table.append("images seen", readableCount(state.step * state.configuration.batch))
        table.append(
            "network",
            "depth \(c.depth), hidden size \(c.hidden), \(c.heads) heads, patch \(c.patchSize)"
                + (c.qkNorm ? ", QK-norm" : ""))
        table.append("input", "\(c.channels) x \(c.inputSize) x \(c.inputSize), \(c.tokens) tokens")
        table.append("parameters", readableCount(SiT(c, on: .meta).parameterCount))
        table.append("classes", shortList(state.classNames))
        return "\(table)\n\(state.configuration.text)"
    }

    private static func describe(_ file: SafetensorsFile) -> String {
        var table = Table(.text("tensor"), .text("type"), .text("shape"))
        for name in file.names {
            guard let entry = file.entries[name] else { continue }
            table.append(name, entry.type.rawValue, "\(entry.shape)")
        }
        let metadata = file.metadata.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)\n" }.joined()
        return metadata + "\(table)"
    }

    private static func describe(_ source: any ImageSource) -> String {
        var counts = [Int](repeating: 0, count: source.classNames.count)
        for entry in source.entries { counts[entry.label] += 1 }
        var table = Table(.text("class"), .number("label"), .number("images"))
        for (label, name) in source.classNames.enumerated() { table.append(name, "\(label)", "\(counts[label])") }
        return "\(source.location): \(source.entries.count) images in \(source.classNames.count) classes\n\(table)"
    }

    /// The first names and how many there are.
    private static func shortList(_ names: [String]) -> String {
        let more = names.count > 12 ? ", ... (\(names.count))" : ""
        return names.prefix(12).joined(separator: ", ") + more
    }
}

extension TrainingConfiguration {
    /// Every setting on a line of its own, "key = value".
    public var text: String {
        guard let tree = try? ConfigurationTree.tree(of: self) else { return "" }
        return ConfigurationTree.flattened(tree).map { "\($0.key) = \($0.value.text())" }.joined(separator: "\n")
    }
}
