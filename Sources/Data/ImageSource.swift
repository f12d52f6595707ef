import Formats
import Foundation

/// The name and the class of one image.
public struct ImageEntry: Equatable, Sendable {
    /// The path of the image in its folder or archive, with "/" between its parts.
    public var name: String
    /// The class, counted from 0.
    public var label: Int

    /// An image by its path in the source and its class, counted from 0.
    public init(name: String, label: Int) {
        self.name = name
        self.label = label
    }
}

/// Encoded images with their labels: a folder or an archive.
public protocol ImageSource: Sendable {
    /// The path of the folder or archive.
    var location: String { get }
    /// The images, ordered by name (UTF-8).
    var entries: [ImageEntry] { get }
    /// The classes, indexed by label.
    var classNames: [String] { get }
    /// The pictures that it passes over.
    var unread: UnreadPictures { get }
    /// The bytes of an image's file; throws a `FileError`. Safe to call from several threads.
    func read(_ index: Int) throws -> [UInt8]
    /// The name of an image for messages: the path of its file, or archive and entry.
    func fullName(_ index: Int) -> String
}

extension ImageSource {
    /// None.
    public var unread: UnreadPictures { UnreadPictures() }
    /// For sources whose entries have no path of their own: location and entry.
    public func fullName(_ index: Int) -> String { "\(location): \(entries[index].name)" }
}

/// Opens a folder, a ZIP or a tar archive of images; throws a `FileError` if it is neither or holds no images.
///
/// Classes are, in this order: the labels of a `dataset.json`; the folders that hold the images, sorted by name, maybe below
/// one common folder; or one class for all.
public func openSource(path: String) throws -> any ImageSource {
    var status = stat()
    guard stat(path, &status) == 0 else { throw FileError.system(path, "cannot be opened", code: errno) }
    if status.st_mode & S_IFMT == S_IFDIR { return try FolderSource(path: path) }
    let file = try MappedFile(path: path)
    if file.withBytes({ $0.starts(with: "PK".utf8) }) { return try ZipSource(path: path) }
    if file.withBytes(TarArchive.isTar) { return try TarSource(path: path) }
    let remedy = "give a folder of images, or unpack a compressed archive (.tar.gz) first"
    throw FileError(path, "is neither a folder nor a ZIP or tar archive", remedy: remedy)
}

/// The images of a folder and its subfolders.
///
/// Links are followed. Names that begin with "." and files that are not named .jpg, .jpeg or .png are passed over.
public struct FolderSource: ImageSource {
    public let location: String
    public let entries: [ImageEntry]
    public let classNames: [String]
    public let unread: UnreadPictures

    /// Lists the folder; throws a `FileError`.
    public init(path: String) throws {
        let names = try FolderList(path: path).names
        let images = try LabelledImages(names: names, location: path) { name in
            try MappedFile(path: path + "/" + name).withBytes { Array($0) }
        }
        location = path
        entries = images.entries
        classNames = images.classNames
        unread = images.unread
    }

    public func read(_ index: Int) throws -> [UInt8] {
        try MappedFile(path: location + "/" + entries[index].name).withBytes { Array($0) }
    }

    public func fullName(_ index: Int) -> String { location + "/" + entries[index].name }
}

/// The images of a ZIP archive.
public struct ZipSource: ImageSource {
    public let entries: [ImageEntry]
    public let classNames: [String]
    public let unread: UnreadPictures

    /// The places of the images in the archive's list.
    private let places: [Int]
    private let archive: ZipArchive

    public var location: String { archive.path }

    /// Reads the archive's list; throws a `FileError`.
    public init(path: String) throws {
        let archive = try ZipArchive(path: path)
        let names = archive.entries.map(\.name)
        let places = Dictionary(uniqueKeysWithValues: zip(names, names.indices))
        let images = try LabelledImages(names: names, location: path) { name in
            try archive.read(archive.entries[places[name]!])
        }
        self.archive = archive
        self.places = images.entries.map { places[$0.name]! }
        entries = images.entries
        classNames = images.classNames
        unread = images.unread
    }

    public func read(_ index: Int) throws -> [UInt8] { try archive.read(archive.entries[places[index]]) }

    public func fullName(_ index: Int) -> String { "\(location): entry \(entries[index].name)" }
}
