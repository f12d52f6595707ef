import Formats

/// The images of a tar archive, which may contain an archive for each class, as ImageNet does.
public struct TarSource: ImageSource {
    public let entries: [ImageEntry]
    public let classNames: [String]
    public let unread: UnreadPictures

    /// The archive entries of the images.
    private let files: [TarArchive.Entry]
    private let archive: TarArchive

    public var location: String { archive.path }

    /// Reads the archive's headers; throws a `FileError`.
    public init(path: String) throws {
        let archive = try TarArchive(path: path)
        let files = Dictionary(uniqueKeysWithValues: archive.entries.map { ($0.name, $0) })
        let images = try LabelledImages(names: archive.entries.map(\.name), location: path) { name in
            archive.read(files[name]!)
        }
        self.archive = archive
        self.files = images.entries.map { files[$0.name]! }
        entries = images.entries
        classNames = images.classNames
        unread = images.unread
    }

    public func read(_ index: Int) throws -> [UInt8] { archive.read(files[index]) }

    public func fullName(_ index: Int) -> String { "\(location): entry \(entries[index].name)" }
}
