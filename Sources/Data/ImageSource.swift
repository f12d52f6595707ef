import Formats
import Foundation

/// The name and the class of one image.
public struct ImageEntry: Equatable, Sendable {
    /// The path of the image in its folder or archive, with "/" between its components.
    public var name: String
    /// The class, counted from 0.
    public var label: Int

    /// Creates an entry from a path in the source and a class, counted from 0.
    public init(name: String, label: Int) {
        self.name = name
        self.label = label
    }
}

/// Encoded images with their labels: a folder or an archive.
public protocol ImageSource: Sendable {
    /// The path of the folder or archive.
    var location: String { get }
    /// The images, sorted by name (UTF-8).
    var entries: [ImageEntry] { get }
    /// The classes, indexed by label.
    var classNames: [String] { get }
    /// The pictures that it passes over.
    var unread: UnreadPictures { get }
    /// The bytes of an image's file; throws a `FileError`. Safe to call from several threads.
    func read(_ index: Int) throws -> [UInt8]
    /// The name of an image in messages: the path of its file, or archive and entry.
    func fullName(_ index: Int) -> String
}

extension ImageSource {
    /// None.
    public var unread: UnreadPictures { UnreadPictures() }
    /// The location and the entry, for sources whose entries have no path of their own.
    public func fullName(_ index: Int) -> String { "\(location): \(entries[index].name)" }
}

/// Opens a folder, ZIP or tar archive of images; throws a `FileError` if it is none of these or holds no images.
///
/// Classes are, in order of preference: the labels of a `dataset.json`; the folders that hold the images, sorted by
/// name, possibly below one common folder; or one class for all.
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
/// Links are followed. Names that begin with "." and files not named .jpg, .jpeg or .png are ignored.
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

    /// The indices of the images in the archive's directory.
    private let places: [Int]
    private let archive: ZipArchive

    public var location: String { archive.path }

    /// Reads the archive's directory; throws a `FileError`.
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
