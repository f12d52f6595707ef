import Data
import Formats
import Foundation
import Torch

/// Golden files of the data path: crops, bytes and numbers, latents on disk.
enum GoldenData {
    /// The crops listed in `crop/index.json`: a row for each source, whose error is the number of bytes that differ.
    static func crops(index path: String, name: String) throws -> [VerificationRow] {
        let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
        guard let cases = try JSONValue.read(path: path)["cases"]?.elements else {
            throw FileError(path, "lists no cases")
        }
        return try cases.map { entry in
            guard let source = entry["source"]?.string, let crops = entry["crops"]?.members else {
                throw FileError(path, "has a case without source and crops")
            }
            let picture = try decode(folder + "/" + source)
            var worst = (count: 0, name: source)
            for crop in crops {
                guard let resolution = Int(crop.key), resolution > 0, let file = crop.value.string else {
                    throw FileError(path, "has a crop without resolution and file")
                }
                let (computed, expected) = (picture.centreCropped(to: resolution), try decode(folder + "/" + file))
                let count = zip(computed.pixels, expected.pixels).count { $0 != $1 }
                let differing = computed.pixels.count == expected.pixels.count ? count : .max
                if differing > worst.count { worst = (differing, file) }
            }
            return VerificationRow(
                file: name, kind: "crop", values: source, worstError: Double(worst.count), worstName: worst.name,
                tolerance: 0, outcome: worst.count == 0 ? .passed : .failed)
        }
    }

    private static func decode(_ path: String) throws -> RGBImage {
        try MappedFile(path: path).withBytes { try ImageFile.decode($0, name: path) }
    }

    static func pixels(_ golden: GoldenFile) throws -> [VerificationRow] {
        let bytes: [UInt8] = try golden.tensor("input.bytes").values()
        var computed: [String: Tensor] = [:]
        for (name, range) in [("signed", PixelRange.signed), ("unit", .unit)] {
            let numbers: [Float] = try golden.tensor("input.\(name)").values()
            computed["bytes_to_\(name)"] = Tensor(bytes.map(range.number))
            computed["\(name)_to_bytes"] = Tensor(numbers.map(range.byte))
        }
        return try golden.compare(computed)
    }

    static func latents(_ golden: GoldenFile) throws -> [VerificationRow] {
        let folder = URL(fileURLWithPath: golden.file.mapping.path).deletingLastPathComponent().path
        let source = try PublishedLatents(path: folder + "/" + golden.setting("directory", \.string))
        let scale = try golden.setting("scale", \.double)
        var encoding = source.encoding
        encoding.scale = encoding.scale.map { _ in scale }
        let (layout, sampler) = (source.layout, PosteriorSampler(encoding))
        var latents: [Float] = try golden.tensor("input.noise").values()
        guard latents.count == source.entries.count * layout.elementsPerSample else {
            throw FileError(golden.file.mapping.path, "has noise for other latents than those of its folder")
        }
        var record = [Float](repeating: 0, count: layout.elementCount)
        try latents.withUnsafeMutableBufferPointer { latents in
            try record.withUnsafeMutableBufferPointer { record in
                for index in source.entries.indices {
                    let places = index * layout.elementsPerSample..<(index + 1) * layout.elementsPerSample
                    try source.copyRecord(index, mirrored: false, into: record)
                    sampler.draw(
                        from: UnsafeBufferPointer(record), layout: layout,
                        into: UnsafeMutableBufferPointer(rebasing: latents[places]))
                }
            }
        }
        let shape = [source.entries.count, layout.channels, layout.side, layout.side]
        return try golden.compare([
            "latent": Tensor(latents, shape: shape), "label": Tensor(source.entries.map(\.label)),
        ])
    }
}
