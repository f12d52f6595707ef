import Data
import Evaluation

/// The pictures of a pixel data set as a network sees them: cropped, and of one size.
struct DatasetPictures: PictureSet {
    let location: String
    private let dataset: any Dataset

    /// Wraps a data set; `location` is its name in results. Throws a `ConfigurationError` if the data are latents.
    init(_ dataset: any Dataset, location: String) throws {
        guard dataset.latents == nil, [1, 3].contains(dataset.channels) else {
            throw ConfigurationError(
                "--reference: give one, with pixels; \(location), on which the run was trained, holds latents")
        }
        (self.dataset, self.location) = (dataset, location)
    }

    var count: Int { dataset.count }

    func picture(_ index: Int) throws -> RGBImage {
        // The inverse of byte / 127.5 - 1, rounded to the nearest byte, so that bytes are recovered exactly.
        let bytes = try dataset.images([index]).map { UInt8((($0 + 1) * 127.5).rounded()) }
        return RGBImage(planes: bytes, width: dataset.side, height: dataset.side)
    }
}
