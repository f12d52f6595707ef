import Data
import Formats
import Foundation

/// Where samples go: a grid, an array, or single pictures, by the form of the path.
public final class SampleOutput {
    /// As the user gave it; its form decides what is written.
    public let path: String
    private var sink: Sink
    /// The folders that were not there before.
    private let newFolders: [String]
    private var written = 0
    private var kept: [Canvas] = []

    private enum Sink {
        case grid, folder
        case array(NpzWriter)
    }

    /// `NAME.png` is a grid, `NAME.npz` an array `arr_0` of bytes [N, H, W, 3], anything else a folder of PNGs. Throws
    /// before any work is done if it cannot be written.
    public init(path: String) throws {
        self.path = path
        let url = URL(fileURLWithPath: path)
        let kind = url.pathExtension.lowercased()
        if Self.otherFiles.contains(kind) {
            throw ConfigurationError("--out \(path): samples are not written as .\(kind); give .png, .npz or a folder")
        }
        let isFile = ["png", "npz"].contains(kind)
        newFolders = try makeFolder(isFile ? url.deletingLastPathComponent().path : path)
        if !isFile { try Self.checkContent(of: path) }
        try AtomicFile.check(isFile ? path : Self.picture(0, in: path))
        switch kind {
        case "png": sink = .grid
        case "npz": sink = .array(try NpzWriter(path: path))
        default: sink = .folder
        }
    }

    /// Where nothing could be drawn, nothing is left behind.
    deinit {
        sink = .folder  // the unfinished file of an array goes first
        removeEmptyFolders(newFolders)
    }

    /// What is not meant as the name of a folder.
    private static let otherFiles: Set = ["jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "npy", "pt", "zip"]

    private static func picture(_ index: Int, in folder: String) -> String {
        let digits = String(index)
        return folder + "/" + String(repeating: "0", count: max(0, 6 - digits.count)) + digits + ".png"
    }

    /// Samples of another number from before would be taken for those of now, as would the pictures of a data set.
    private static func checkContent(of folder: String) throws {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        guard let other = names.filter({ !$0.hasPrefix(".") }).min() else { return }
        throw FileError(folder, "is not empty (\(other))", remedy: "give another --out")
    }

    /// Takes the next pictures; only a grid keeps them in memory.
    public func append(_ images: [Canvas]) throws {
        switch sink {
        case .grid: kept += images
        case .array(let writer):
            if written == 0, let first = images.first {
                try writer.beginArray(itemShape: [first.height, first.width, 3])
            }
            for image in images { try writer.append(image.pixels) }
        case .folder:
            for (index, image) in images.enumerated() {
                try ImageFile.writePNG(RGBImage(image), to: Self.picture(written + index, in: path))
            }
        }
        written += images.count
    }

    /// Completes the file.
    public func finish(_ labels: SampleLabels, classNames: [String]) throws {
        switch sink {
        case .grid:
            let grid = ImageGrid(kept, columns: labels.columns, rowLabels: labels.rows.map { classNames[$0] })
            try ImageFile.writePNG(RGBImage(grid.render()), to: path)
        case .array(let writer): try writer.finish()
        case .folder: break
        }
    }
}
