import Data
import Formats
import Foundation

/// Where samples go: a grid, an array, or single pictures, by the form of the path.
public final class SampleOutput {
    /// As the user gave it; its form decides what is written.
    public let path: String
    private let sink: Sink
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
        let isFile = ["png", "npz"].contains(url.pathExtension.lowercased())
        var isFolder: ObjCBool = false
        if isFile, FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue {
            throw FileError(path, "is a folder", remedy: "give another --out")
        }
        let folder = isFile ? url.deletingLastPathComponent().path : path
        try makeFolder(folder)
        guard FileManager.default.isWritableFile(atPath: folder) else {
            throw FileError(folder, "cannot be written to", remedy: "give another --out")
        }
        switch url.pathExtension.lowercased() {
        case "png": sink = .grid
        case "npz": sink = .array(try NpzWriter(path: path))
        default: sink = .folder
        }
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
                let digits = String(written + index)
                let name = String(repeating: "0", count: max(0, 6 - digits.count)) + digits
                try ImageFile.writePNG(RGBImage(image), to: "\(path)/\(name).png")
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
