/// Files of pictures that a source passes over, since their format is not read.
public struct UnreadPictures: Sendable {
    /// In their order.
    public let names: [String]

    /// By which they are known.
    static let extensions: Set = [
        "webp", "tif", "tiff", "bmp", "gif", "heic", "heif", "avif", "jp2", "jxl", "ppm", "pgm",
    ]

    /// None unless told otherwise.
    public init(names: [String] = []) { self.names = names.sorted() }

    /// What to say of them; nil if there are none.
    public var sentence: String? {
        guard !names.isEmpty else { return nil }
        let more = names.count > 3 ? ", ... (\(names.count))" : ""
        return "passed over, since JPEG and PNG alone are read: " + names.prefix(3).joined(separator: ", ") + more
    }
}
