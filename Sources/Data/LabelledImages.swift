import Formats

/// The images among the files of a folder or archive, with their classes.
struct LabelledImages {
    private(set) var entries: [ImageEntry] = []
    private(set) var classNames: [String] = []
    /// The files among them that are pictures in other formats.
    let unread: UnreadPictures

    /// The maximum number of classes of a `dataset.json`.
    static let maximumClasses = 1 << 20

    private static let listName = "dataset.json"

    /// The file extensions of images.
    static let imageExtensions: Set = ["jpg", "jpeg", "png"]

    /// Finds the files with these extensions among `names` (folders end with "/"); `read` returns a file's bytes;
    /// throws a `FileError`.
    init(
        names: [String], location: String, extensions: Set<String> = imageExtensions,
        read: (String) throws -> [UInt8]
    ) throws {
        let visible = names.filter { name in
            !name.split(separator: "/").contains { $0.hasPrefix(".") || $0 == "__MACOSX" }
        }
        let images = visible.filter { Self.hasExtension(of: extensions, $0) }.sorted {
            $0.utf8.lexicographicallyPrecedes($1.utf8)
        }
        unread = UnreadPictures(names: visible.filter { Self.hasExtension(of: UnreadPictures.extensions, $0) })
        guard !images.isEmpty else {
            let isOfImages = extensions == Self.imageExtensions
            let remedy = "JPEG and PNG files are read (.jpg, .jpeg, .png)"
            throw FileError(
                location, "holds no \(isOfImages ? "images" : "files of latents")", remedy: isOfImages ? remedy : "")
        }
        let top = Self.commonFolder(images)
        if let list = visible.first(where: { $0 == Self.listName || $0 == top + Self.listName }) {
            let folder = String(list.dropLast(Self.listName.count))
            try label(images, by: read(list), in: folder, name: "\(location): \(list)")
        } else {
            try label(images, byFoldersBelow: top, all: visible, location: location)
        }
    }

    private static func hasExtension(of extensions: Set<String>, _ name: String) -> Bool {
        guard let dot = name.utf8.lastIndex(of: UInt8(ascii: ".")) else { return false }
        return extensions.contains(name[name.index(after: dot)...].lowercased())
    }

    /// The common first folder of the paths, with "/", if all images lie in subfolders of it; otherwise empty.
    private static func commonFolder(_ images: [String]) -> String {
        guard let end = images[0].firstIndex(of: "/") else { return "" }
        let top = images[0][...end]
        let areBelow = images.allSatisfy { $0.hasPrefix(top) && $0.dropFirst(top.count).contains("/") }
        return areBelow ? String(top) : ""
    }

    private mutating func label(
        _ images: [String], byFoldersBelow top: String, all names: [String], location: String
    ) throws {
        /// The folder below `top` that a file lies in, or nil.
        func folder(_ name: String) -> Substring? {
            let rest = name.dropFirst(top.count)
            return rest.firstIndex(of: "/").map { rest[..<$0] }
        }
        let folders = Set(images.compactMap(folder))
        guard !folders.isEmpty else {
            entries = images.map { ImageEntry(name: $0, label: 0) }
            classNames = ["images"]
            return
        }
        if let stray = images.first(where: { folder($0) == nil }) {
            let remedy = "move it into a folder of its class"
            throw FileError(location, "holds the image \(stray) beside folders of images", remedy: remedy)
        }
        if let empty = names.filter({ $0.hasPrefix(top) }).compactMap(folder).first(where: { !folders.contains($0) }) {
            throw FileError(
                location, "the class folder \(top)\(empty) holds no images", remedy: "remove it or add its images")
        }
        let sorted = folders.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        let labels = Dictionary(uniqueKeysWithValues: zip(sorted, sorted.indices))
        entries = images.map { ImageEntry(name: $0, label: labels[folder($0)!]!) }
        classNames = sorted.map(String.init)
    }

    /// Applies labels in the format of EDM and its relatives: `{"labels": [["00000/img00000000.png", 6], ...]}`, or
    /// null for none.
    private mutating func label(_ images: [String], by bytes: [UInt8], in folder: String, name: String) throws {
        let document = try bytes.withUnsafeBytes { try JSONValue.read($0, name: name) }
        guard let value = document["labels"], value != .null else {
            entries = images.map { ImageEntry(name: $0, label: 0) }
            classNames = ["images"]
            return
        }
        guard let list = value.elements else { throw FileError(name, "has \"labels\" that are not a list") }
        var labels: [String: Int] = [:]
        for (index, item) in list.enumerated() {
            guard let pair = item.elements, pair.count == 2, let path = pair[0].string, let label = pair[1].int,
                (0..<Self.maximumClasses).contains(label)
            else {
                throw FileError(
                    name, "label number \(index + 1) is not a path and a class in 0..<\(Self.maximumClasses)")
            }
            labels[folder + path] = label
        }
        for image in images {
            guard let label = labels.removeValue(forKey: image) else {
                throw FileError(name, "has no label for \(image)", remedy: "add it or remove the image")
            }
            entries.append(ImageEntry(name: image, label: label))
        }
        if let missing = labels.keys.min() {
            throw FileError(name, "names the image \(missing), which is missing", remedy: "add it or remove its label")
        }
        classNames = (0...(entries.map(\.label).max() ?? 0)).map(String.init)
    }
}
