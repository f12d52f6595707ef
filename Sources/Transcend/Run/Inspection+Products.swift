import Formats
import Foundation

/// What the program writes for others, or beside its runs.
extension Inspection {
    /// Describes a comparison, an exported network, weights of PyTorch or arrays of NumPy; nil for what is none of them.
    static func product(at path: String, holding names: [String]) throws -> String? {
        if names.contains("compare.json") { return comparison(at: path) }
        if names.contains(PublishedCheckpoint.folderFile) { return try exported(in: path) }
        switch URL(fileURLWithPath: path).pathExtension.lowercased() {
        case "npz": return try arrays(in: path)
        case "pt", "pth", "bin": return try weights(in: path)
        default: return nil
        }
    }

    private static func comparison(at path: String) -> String {
        func folders(_ path: String) -> [String] {
            ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
        }
        let seeds = folders(path).filter { $0.hasPrefix("seed-") }
        let runs = seeds.flatMap { seed in folders("\(path)/\(seed)").map { "\(seed)/\($0)" } }
        let list = runs.map { "\n" + $0.visible }.joined()
        return "\(path.visible): a comparison, whose page is compare.html and whose numbers are compare.json; its runs:"
            + list
    }

    private static func exported(in path: String) throws -> String {
        let settings = try? JSONValue.read(path: path + "/config.json")
        let kind = settings?["_class_name"]?.string ?? "network"
        let use = kind == "SiT" ? "transcend import makes a checkpoint of it" : "--autoencoder takes those of images"
        let lines = (settings?.members ?? []).map { "\n" + "\($0.key) = \($0.value.text())".visible }.joined()
        let weights = try SafetensorsFile(path: "\(path)/\(PublishedCheckpoint.folderFile)")
        return "\(path.visible): \(kind.visible), as diffusers writes networks; \(use)\(lines)\n\(describe(weights))"
    }

    private static func weights(in path: String) throws -> String? {
        let archive = try? ZipArchive(path: path)
        if archive?.entries.contains(where: { $0.name.contains("/code/") }) ?? false {
            return "\(path.visible): a TorchScript module; --extractor of evaluate, curve and compare takes it"
        }
        guard try PyTorchFile.isOne(path: path) else { return nil }
        let file = try PublishedCheckpoint(path: path)
        var table = Table(.text("tensor"), .text("type"), .text("shape"))
        for name in file.model.names {
            guard let layout = file.model.layout(of: name) else { continue }
            table.append(name, layout.type.rawValue, "\(layout.shape)")
        }
        let step = file.step > 0 ? " of step \(file.step)" : ""
        return
            "\(path.visible): weights\(step), as PyTorch saves them; transcend import makes a checkpoint of a SiT\n\(table)"
    }

    private static func arrays(in path: String) throws -> String {
        var table = Table(.text("array"), .text("type"), .text("shape"))
        for entry in try ZipArchive(path: path).entries where entry.name.hasSuffix(".npy") {
            let name = String(entry.name.dropLast(4))
            guard let items = try NumpyItems(path: path, name: name) else { continue }
            table.append(name, items.type.rawValue, "\(items.shape)")
        }
        return
            "\(path.visible): arrays of NumPy; transcend evaluate reads samples (arr_0) and references (mu, sigma)\n\(table)"
    }
}
