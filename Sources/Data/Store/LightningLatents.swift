import Formats
import Foundation

/// Latents in LightningDiT's format: safetensors files with `latents` [N, C, R, R], `latents_flip` of the mirror
/// images, and `labels` [N]; they are normalised by their own mean and standard deviation in each channel.
public struct LightningLatents: LatentSource {
    public let location: String
    public let entries: [ImageEntry]
    public let classNames: [String]
    /// The layout of all files: `mean`, [C, R, R], in float32 whatever type the files hold; mirrored if they have
    /// `latents_flip`.
    public let layout: RecordLayout

    /// Has no numbers: the latents' own statistics are computed when a store is made.
    public var encoding: LatentEncoding {
        LatentEncoding(autoencoder: "of LightningDiT's latents in the folder", shift: [], scale: [])
    }

    private struct File {
        let tensors: SafetensorsFile
        let count: Int
    }

    private let files: [File]
    /// The file of each latent and its index in it.
    private let places: [(file: Int32, index: Int32)]

    /// The names of the files in a folder that have this format.
    private static func names(in path: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return names.filter { $0.hasSuffix(".safetensors") && !$0.hasPrefix(".") }.sorted()
    }

    /// Whether a folder holds such files: its first safetensors file has `latents` and `labels`.
    public static func exists(in path: String) -> Bool {
        guard let name = names(in: path).first, let file = try? SafetensorsFile(path: path + "/" + name) else {
            return false
        }
        return file.entries["latents"] != nil && file.entries["labels"] != nil
    }

    /// Opens all files; throws a `FileError` if they do not match each other.
    public init(path: String) throws {
        var (files, places, entries, layout) = (
            [File](), [(file: Int32, index: Int32)](), [ImageEntry](), RecordLayout?.none
        )
        for name in Self.names(in: path) {
            let tensors = try SafetensorsFile(path: path + "/" + name)
            let (found, labels) = try Self.content(of: tensors)
            guard layout == nil || layout == found else {
                throw FileError(tensors.mapping.path, "holds latents of another shape or type than the files before it")
            }
            layout = found
            for (index, label) in labels.enumerated() {
                entries.append(ImageEntry(name: "\(name.dropLast(".safetensors".count)):\(index)", label: label))
                places.append((Int32(files.count), Int32(index)))
            }
            files.append(File(tensors: tensors, count: labels.count))
        }
        guard let layout, !entries.isEmpty else { throw FileError(path, "holds no latents") }
        location = path
        classNames = (0...(entries.map(\.label).max() ?? 0)).map(String.init)
        (self.files, self.places, self.entries, self.layout) = (files, places, entries, layout)
    }

    /// Writes the mean of a latent, [C, R, R], widened to float32.
    public func copyRecord(_ index: Int, mirrored: Bool, into record: UnsafeMutableBufferPointer<Float>) throws {
        let (file, place) = places[index]
        let tensors = files[Int(file)].tensors
        let type = tensors.entries["latents"]?.type ?? .F32
        let size = layout.elementCount * type.byteCount
        try tensors.withBytes(of: mirrored ? "latents_flip" : "latents") { bytes in
            let start = Int(place) * size
            copyNumbers(UnsafeRawBufferPointer(rebasing: bytes[start..<start + size]), of: type, into: record)
        }
    }

    private static func content(of file: SafetensorsFile) throws -> (RecordLayout, [Int]) {
        let path = file.mapping.path
        guard let latents = file.entries["latents"], let labels = file.entries["labels"], latents.shape.count == 4,
            latents.shape[2] == latents.shape[3], [.F16, .F32].contains(latents.type), labels.type == .I64,
            labels.shape == [latents.shape[0]]
        else {
            throw FileError(path, "does not hold latents [N, C, R, R] of F16 or F32 with labels [N] of I64")
        }
        let flipped = file.entries["latents_flip"]
        guard flipped == nil || flipped?.shape == latents.shape && flipped?.type == latents.type else {
            throw FileError(path, "has latents_flip of another shape or type than its latents")
        }
        let numbers = try file.withBytes(of: "labels") { bytes in
            (0..<latents.shape[0]).map { bytes.loadUnaligned(fromByteOffset: 8 * $0, as: Int.self) }
        }
        guard numbers.allSatisfy((0..<LabelledImages.maximumClasses).contains) else {
            throw FileError(path, "has a label that is not in 0..<\(LabelledImages.maximumClasses)")
        }
        let layout = RecordLayout(
            content: .mean, type: .F32, channels: latents.shape[1], side: latents.shape[2], hasMirrored: flipped != nil)
        guard layout.isPossible else { throw FileError(path, "has latents of the shape \(latents.shape)") }
        return (layout, numbers)
    }
}
