import Formats
import Foundation

/// Latents in REPA's published layout: `vae-sd/00000/img-mean-std-00000000.npy` with a `dataset.json`, and beside it
/// `images/00000/img00000000.png` with another.
///
/// A file holds float32 [2 C, R, R]: means, then standard deviations, in the scale of Stable Diffusion's autoencoder.
/// Files of log-variances are recognised, since they contain negative numbers and deviations never do.
public struct PublishedLatents: LatentSource {
    /// The scale factor of Stable Diffusion's autoencoder.
    public static let scale = 0.18215

    public let location: String
    public let entries: [ImageEntry]
    public let classNames: [String]
    /// The layout of the first file: `meanAndDeviation`, [2 C, R, R] in float32. All others must have it too.
    public let layout: RecordLayout
    /// Whether the second half of each file holds log-variances instead of standard deviations.
    public let holdsLogVariances: Bool

    /// Shift 0 and scale 0.18215 in every channel.
    public var encoding: LatentEncoding {
        Self.encoding(channels: layout.channels)
    }

    /// The normalisation that published networks use: shift 0 and scale 0.18215 in every channel.
    public static func encoding(channels: Int) -> LatentEncoding {
        LatentEncoding(
            autoencoder: "Stable Diffusion's, as published", shift: [Double](repeating: 0, count: channels),
            scale: [Double](repeating: Self.scale, count: channels))
    }

    private static let folderName = "vae-sd"
    /// The number of files inspected to distinguish deviations from log-variances.
    private static let probes = 16

    /// Whether a folder has this layout: it contains a folder `vae-sd`, or is one.
    public static func exists(in path: String) -> Bool {
        let list = (path.hasSuffix("/" + folderName) ? path : path + "/" + folderName) + "/dataset.json"
        return FileManager.default.fileExists(atPath: list)
    }

    /// Lists the latents of a folder that contains `vae-sd` and possibly `images`, or of `vae-sd` itself.
    ///
    /// Throws a `FileError`, also if images and latents do not match: all mismatches are counted and the first are
    /// named.
    public init(path: String) throws {
        let isInner = path.hasSuffix("/" + Self.folderName)
        location = isInner ? path : path + "/" + Self.folderName
        let folder = location
        let names = try FolderList(path: folder).names
        let files = try LabelledImages(names: names, location: folder, extensions: ["npy"]) { name in
            try MappedFile(path: folder + "/" + name).withBytes { Array($0) }
        }
        (entries, classNames) = (files.entries, files.classNames)
        let first = try Self.read(folder + "/" + entries[0].name, shape: nil)
        layout = RecordLayout(
            content: .meanAndDeviation, type: .F32, channels: first.shape[0] / 2, side: first.shape[1])
        let shape = first.shape
        holdsLogVariances = try entries.prefix(Self.probes).contains { entry in
            let values = try Self.read(folder + "/" + entry.name, shape: shape).elements(as: Float.self)
            return values.suffix(values.count / 2).contains { $0 < 0 }
        }
        let images = (isInner ? String(path.dropLast(Self.folderName.count + 1)) : path) + "/images"
        if FileManager.default.fileExists(atPath: images) { try checkPairs(with: openSource(path: images)) }
    }

    /// Writes mean and standard deviation of a latent, [2 C, R, R]; log-variances are converted. Throws a `FileError`
    /// for a file of another shape and for a negative deviation.
    public func copyRecord(_ index: Int, mirrored: Bool, into record: UnsafeMutableBufferPointer<Float>) throws {
        let path = location + "/" + entries[index].name
        let array = try Self.read(path, shape: layout.shape)
        array.bytes.withUnsafeBytes { UnsafeMutableRawBufferPointer(record).copyMemory(from: $0) }
        for place in layout.elementsPerSample..<record.count {
            if holdsLogVariances { record[place] = exp(0.5 * record[place]) }
            guard record[place] >= 0 else {
                throw FileError(
                    path, "has a standard deviation of \(record[place])",
                    remedy: "make it with the same script as others")
            }
        }
    }

    private static func read(_ path: String, shape: [Int]?) throws -> NumpyArray {
        let array = try NumpyFile.read(path: path)
        let isRight =
            array.shape.count == 3 && array.shape[0] > 0 && array.shape[0] % 2 == 0 && array.shape[1] > 0
            && array.shape[1] == array.shape[2] && array.type == .F32 && shape ?? array.shape == array.shape
        guard isRight else {
            let expected = shape.map { "\($0)" } ?? "[2 C, R, R]"
            throw FileError(path, "holds \(array.type) \(array.shape) where F32 \(expected) is expected")
        }
        return array
    }

    /// Checks that images and latents match by folder and number, and have the same labels.
    private func checkPairs(with images: any ImageSource) throws {
        let pictures = Dictionary(images.entries.map { (Self.key($0.name), $0) }) { $1 }
        let latents = Dictionary(entries.map { (Self.key($0.name), $0) }) { $1 }
        func names(_ entries: [ImageEntry]) -> [String] { entries.map(\.name).sorted() }
        let mismatches = [
            ("without a latent", names(pictures.filter { latents[$0.key] == nil }.map(\.value))),
            ("without an image", names(latents.filter { pictures[$0.key] == nil }.map(\.value))),
            (
                "with another label than their image",
                names(
                    latents.filter { key, entry in pictures[key].map { $0.label != entry.label } ?? false }.map(\.value)
                )
            ),
        ].filter { !$0.1.isEmpty }
        guard !mismatches.isEmpty else { return }
        let text = mismatches.map { what, names in
            let more = names.count > 8 ? ", ..." : ""
            return "\(names.count) \(what) (\(names.prefix(8).joined(separator: ", "))\(more))"
        }
        throw FileError(
            location, "does not fit the images beside it: " + text.joined(separator: ", "),
            remedy: "make the latents again, or move the folder images away")
    }

    /// The folder and the number at the end of a name: "00000/00000017".
    private static func key(_ name: String) -> String {
        let stem = name.split(separator: ".").dropLast().joined(separator: ".")
        let digits = String(stem.reversed().prefix { $0.isNumber }.reversed())
        let folder = stem.split(separator: "/").dropLast().joined(separator: "/")
        return folder + "/" + digits
    }
}
