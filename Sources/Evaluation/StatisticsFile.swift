import Data
import Formats
import Torch

/// A reference in ADM's format: `mu` and `sigma` of a whole set, `mu_s` and `sigma_s` of its spatial features, and in
/// `arr_0` some of its pictures, whose features are used for precision and recall. `extractor` holds the extractor's
/// identity, in UTF-8, if Transcend wrote the file.
public enum StatisticsFile {
    /// The number of pictures kept, as in ADM's references.
    public static let pictures = 10_000

    /// Whether the file is a reference in this format.
    public static func isOne(_ path: String) throws -> Bool {
        guard NumpyFile.isArchive(path) else { return false }
        return try ZipArchive(path: path).entries.contains { $0.name == "mu.npy" }
    }

    /// Reads a reference and measures its pictures. Throws a `FileError`, also if another extractor made it.
    public static func read(
        path: String, extractor: any FeatureExtractor,
        progress: (_ done: Int, _ count: Int) throws -> Void = { _, _ in }
    ) throws -> MeasuredSet {
        let arrays = try NumpyFile.readArchive(path: path, only: ["mu", "sigma", "mu_s", "sigma_s", "extractor"])
        if let made = arrays["extractor"].map({ String(decoding: $0.bytes, as: UTF8.self) }), made != extractor.identity
        {
            throw FileError(
                path, "was made by the extractor \(made), not by \(extractor.identity)", remedy: "make a reference anew"
            )
        }
        func tensor(_ name: String, rank: Int) throws -> Tensor {
            guard let array = arrays[name], [.F32, .F64].contains(array.type), array.shape.count == rank,
                Set(array.shape).count == 1, array.shape[0] > 0
            else { throw FileError(path, "has no usable array \(name)", remedy: "make a reference anew") }
            return array.bytes.withUnsafeBytes { Tensor(copying: $0, type: array.type, shape: array.shape) }
        }
        func gaussian(_ suffix: String) throws -> Gaussian {
            let (mean, covariance) = (try tensor("mu" + suffix, rank: 1), try tensor("sigma" + suffix, rank: 2))
            guard mean.size(0) == covariance.size(0), mean.isFinite, covariance.isFinite else {
                throw FileError(path, "has no usable array sigma\(suffix)", remedy: "make a reference anew")
            }
            return Gaussian(mean: mean, covariance: covariance)
        }
        let hasPictures = try ZipArchive(path: path).entries.contains { $0.name == "arr_0.npy" }
        let pictures = hasPictures ? try ArrayPictures(path: path) : nil
        let measured = try pictures.map { pictures in
            try MeasuredSet(pictures, by: extractor) { try progress($0, pictures.count) }
        }
        return MeasuredSet(
            extractor: extractor.identity, gaussian: try gaussian(""),
            spatial: arrays["mu_s"] == nil ? nil : try gaussian("_s"), features: measured?.features,
            pictureSize: measured?.pictureSize)
    }

    /// Writes a measured set as a reference, with the first pictures of the set, atomically. Throws a `FileError`.
    public static func write(_ measured: MeasuredSet, of pictures: any PictureSet, to path: String) throws {
        let writer = try NpzWriter(path: path)
        for (suffix, gaussian) in [("", measured.gaussian)] + (measured.spatial.map { [("_s", $0)] } ?? []) {
            try writer.beginArray("mu" + suffix, type: .F64, itemShape: [])
            try gaussian.mean.withHostBytes { try writer.append($0) }
            try writer.beginArray("sigma" + suffix, type: .F64, itemShape: [gaussian.mean.size(0)])
            try gaussian.covariance.withHostBytes { try writer.append($0) }
        }
        try writer.beginArray("extractor", itemShape: [])
        try writer.append(Array(measured.extractor.utf8))
        let first = try pictures.picture(0)
        try writer.beginArray("arr_0", itemShape: [first.height, first.width, 3])
        for index in 0..<min(Self.pictures, pictures.count) { try writer.append(pictures.picture(index).pixels) }
        try writer.finish()
    }
}
