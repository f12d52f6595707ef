import Data
import Formats
import Foundation

/// Where samples go: a grid, an array, or single pictures, by the form of the path.
public struct SampleOutput: Sendable {
    public let path: String
    private let kind: Kind

    private enum Kind: Sendable {
        case grid, array, folder
    }

    /// `NAME.png` is a grid, `NAME.npz` an array `arr_0` of bytes [N, H, W, 3], anything else a folder of PNGs. Throws
    /// before any work is done if it cannot be written.
    public init(path: String) throws {
        self.path = path
        kind =
            switch URL(fileURLWithPath: path).pathExtension.lowercased() {
            case "png": .grid
            case "npz": .array
            default: .folder
            }
        let folder = kind == .folder ? path : URL(fileURLWithPath: path).deletingLastPathComponent().path
        try makeFolder(folder)
        guard FileManager.default.isWritableFile(atPath: folder) else {
            throw FileError(folder, "cannot be written to", remedy: "give another --out")
        }
    }

    public func write(_ images: [Canvas], labels: SampleLabels, classNames: [String]) throws {
        switch kind {
        case .grid:
            let grid = ImageGrid(images, columns: labels.columns, rowLabels: labels.rows.map { classNames[$0] })
            try ImageFile.writePNG(RGBImage(grid.render()), to: path)
        case .array:
            let writer = try NpzWriter(path: path)
            try writer.beginArray(itemShape: [images[0].height, images[0].width, 3])
            for image in images { try writer.append(image.pixels) }
            try writer.finish()
        case .folder:
            for (index, image) in images.enumerated() {
                let digits = String(index)
                let name = String(repeating: "0", count: max(0, 6 - digits.count)) + digits
                try ImageFile.writePNG(RGBImage(image), to: "\(path)/\(name).png")
            }
        }
    }
}
