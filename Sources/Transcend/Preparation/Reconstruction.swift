import Data
import Formats
import Foundation
import Models
import Torch

/// The quality of a store of latents: what they decode to, beside the originals.
public struct Reconstruction {
    /// The peak signal-to-noise ratio of each image in dB, for 8-bit pictures.
    public let ratios: [Double]
    /// Rows of originals, each above a row of decoded latents; some of the images that were measured.
    public let sheet: RGBImage

    /// The maximum number of images on a sheet, and the number per row.
    static let sheetImages = 32
    static let columns = 8

    /// The mean of all ratios in dB; infinite if a picture is recovered exactly.
    public var meanRatio: Double { ratios.reduce(0, +) / Double(ratios.count) }

    /// Decodes the means of `count` images, spread evenly over the store, and crops their originals again.
    ///
    /// `progress` is called with the number done. Throws a `FileError` if an original is missing.
    public init(
        of store: PackedStore, source: any ImageSource, autoencoder: any Autoencoder, count: Int,
        precision: Precision = .f32, on device: Device = .cpu, progress: (Int) -> Void = { _ in }
    ) throws {
        let places = Dictionary(source.entries.enumerated().map { ($1.name, $0) }) { first, _ in first }
        let count = min(count, store.count)
        let shown = Self.spread(Self.shownCount(count), over: count)
        var (ratios, originals, decoded) = ([Double](), [RGBImage](), [RGBImage]())
        for (done, index) in Self.spread(count, over: store.count).enumerated() {
            guard let place = places[store.name(index)] else {
                throw FileError(source.location, "has no \(store.name(index)), which is in \(store.location)")
            }
            let name = source.fullName(place)
            let original = try ImageFile.decode(source.read(place), name: name).centreCropped(
                to: store.manifest.resolution)
            let copy = try Precision.$current.withValue(precision) {
                try Self.decoded(index, of: store, by: autoencoder, on: device)
            }
            ratios.append(Self.ratio(original, copy))
            if shown.contains(done) {
                originals.append(original)
                decoded.append(copy)
            }
            progress(done + 1)
        }
        self.ratios = ratios
        sheet = Self.sheet(originals, decoded)
    }

    /// The PSNR 10 log10(255^2 / mean squared difference of bytes) in dB.
    static func ratio(_ a: RGBImage, _ b: RGBImage) -> Double {
        let squares = zip(a.pixels, b.pixels).reduce(0) { sum, pair in
            let difference = Int(pair.0) - Int(pair.1)
            return sum + difference * difference
        }
        return 10 * log10(255 * 255 * Double(a.pixels.count) / Double(squares))
    }

    private static func decoded(
        _ index: Int, of store: PackedStore, by autoencoder: any Autoencoder, on device: Device
    ) throws -> RGBImage {
        let layout = store.layout
        let mean = store.numbers(index).prefix(layout.elementsPerSample)
        return try withErrors {
            let latent = Tensor(Array(mean), shape: [1, layout.channels, layout.side, layout.side]).to(device)
            let tileSide = autoencoder.tileSide(forSide: store.manifest.resolution)
            return PictureDecoder.images(autoencoder.decode(latent, tileSide: tileSide))[0]
        }
    }

    /// `count` indices below `total`, evenly spaced.
    private static func spread(_ count: Int, over total: Int) -> [Int] { (0..<count).map { $0 * total / count } }

    /// The number of images shown, so that rows are full if there is more than one.
    private static func shownCount(_ count: Int) -> Int {
        count <= columns ? count : min(sheetImages, count) / columns * columns
    }

    private static func sheet(_ originals: [RGBImage], _ decoded: [RGBImage]) -> RGBImage {
        let starts = stride(from: 0, to: originals.count, by: columns)
        let rows = starts.flatMap { start in
            let row = start..<min(start + columns, originals.count)
            return Array(originals[row]) + Array(decoded[row])
        }
        return ImageGrid(
            rows, columns: min(columns, originals.count), rowLabels: starts.flatMap { _ in ["original", "decoded"] }
        ).render()
    }
}
