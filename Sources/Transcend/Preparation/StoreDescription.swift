import Data

extension PackedStore {
    /// A table of the store's content, for the terminal.
    public var text: String {
        let size = layout.shape.map(String.init).joined(separator: " x ")
        let kind = layout.content == .pixels ? "pictures" : "latents"
        let contents =
            switch layout.content {
            case .pixels: "bytes"
            case .mean: "latents"
            case .meanAndDeviation: "mean and standard deviation"
            }
        var table = Table(.text("store"), .text(location))
        table.append(kind, "\(readableCount(count)) in \(counted(classNames.count, "class"))")
        table.append("record", "\(size), \(layout.type), \(contents)" + (layout.hasMirrored ? ", also mirrored" : ""))
        if let encoding = manifest.encoding {
            table.append("autoencoder", encoding.identity)
            table.append("shift", Self.span(encoding.shift))
            table.append("scale", Self.span(encoding.scale))
        }
        for one in features {
            table.append(
                "features",
                "\(one.tokens) x \(one.width) of \(one.encoder)" + (one.hasMirrored ? ", also mirrored" : ""))
        }
        if let statistics = manifest.statistics {
            table.append("mean by channel", Self.span(statistics.mean))
            table.append("deviation by channel", Self.span(statistics.deviation))
        }
        let bytes = manifest.shards.map(\.byteCount).reduce(0, +)
        table.append("files", "\(manifest.shards.count), \(readableBytes(bytes))")
        if !manifest.skipped.isEmpty { table.append("images left out", readableCount(manifest.skipped.count)) }
        return "\(table)"
    }

    /// One number if all are equal, otherwise the smallest and the largest.
    private static func span(_ values: [Double]) -> String {
        guard let low = values.min(), let high = values.max() else { return "" }
        return low == high ? readableNumber(low) : "\(readableNumber(low)) to \(readableNumber(high))"
    }
}
