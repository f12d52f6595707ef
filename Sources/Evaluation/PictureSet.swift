import Data
import Formats
import Foundation

/// Pictures of the same size to be measured, as bytes [H, W, 3] each.
public protocol PictureSet: Sendable {
    /// The source of the pictures.
    var location: String { get }
    /// The number of pictures, 1 or more.
    var count: Int { get }
    /// The class of each picture, counted from 0; nil if it is not known.
    var labels: [Int]? { get }
    /// Reads a picture; throws a `FileError`.
    func picture(_ index: Int) throws -> RGBImage
    /// Announces the pictures to be read next. If there are several processes, all call it together.
    func prepare(_ range: Range<Int>) throws
}

extension PictureSet {
    /// Unknown by default.
    public var labels: [Int]? { nil }
    /// Does nothing by default: pictures in files need no preparation.
    public func prepare(_ range: Range<Int>) {}
}

/// Opens a NumPy array (`arr_0` of a .npz file), a store of pixels, or a folder, ZIP or tar of images. Throws a
/// `FileError`.
public func openPictures(path: String) throws -> any PictureSet {
    if NumpyFile.isArchive(path) { return try ArrayPictures(path: path) }
    if StoreManifest.exists(in: path) { return try StoredPictures(PackedStore(path: path)) }
    return try SourcePictures(source: openSource(path: path))
}

/// The pictures of `arr_0` of a .npz file: uint8 [N, H, W, 3], and optionally labels [N] in `arr_1`, as ADM's scripts
/// write samples.
struct ArrayPictures: PictureSet {
    let location: String
    let labels: [Int]?
    private let array: NumpyItems

    var count: Int { array.count }

    init(path: String) throws {
        guard let array = try NumpyItems(path: path, name: "arr_0"), array.type == .U8, array.shape.count == 4,
            array.shape[3] == 3,
            array.shape.allSatisfy({ $0 > 0 })
        else {
            throw FileError(path, "holds no pictures", remedy: "give an array arr_0 of uint8 [N, H, W, 3]")
        }
        (location, self.array) = (path, array)
        let numbers = try NumpyItems(path: path, name: "arr_1")
        labels = numbers.flatMap { numbers in
            guard numbers.type == .I64, numbers.shape == [array.count] else { return nil }
            return (0..<array.count).map { index in
                numbers.item(index).withUnsafeBytes { Int($0.loadUnaligned(as: Int64.self)) }
            }
        }
    }

    func picture(_ index: Int) -> RGBImage {
        RGBImage(width: array.shape[2], height: array.shape[1], pixels: array.item(index))
    }
}

/// The images of a folder or archive as they are, without cropping.
private struct SourcePictures: PictureSet {
    let source: any ImageSource

    var location: String { source.location }
    var count: Int { source.entries.count }

    func picture(_ index: Int) throws -> RGBImage {
        try ImageFile.decode(source.read(index), name: source.fullName(index))
    }
}

/// The pictures of a store of pixels.
private struct StoredPictures: PictureSet {
    let store: PackedStore

    var location: String { store.location }
    var count: Int { store.count }

    init(_ store: PackedStore) throws {
        guard store.manifest.layout.content == .pixels else {
            throw FileError(store.location, "holds latents, not pictures", remedy: "give a store of pixels or images")
        }
        self.store = store
    }

    func picture(_ index: Int) -> RGBImage {
        let side = store.manifest.layout.side
        return store.withRecord(index) { RGBImage(planes: Array($0), width: side, height: side) }
    }
}
