import CImage
import Formats

/// A picture with 8 bits each of red, green and blue.
public struct RGBImage: Equatable, Sendable {
    /// The width in pixels, 1 or more.
    public var width: Int
    /// The height in pixels, 1 or more.
    public var height: Int
    /// The bytes [height, width, 3], row by row.
    public var pixels: [UInt8]

    /// Creates a picture from pixels [height, width, 3].
    public init(width: Int, height: Int, pixels: [UInt8]) {
        precondition(width > 0 && height > 0 && pixels.count == width * height * 3, "height x width x 3 bytes")
        self.width = width
        self.height = height
        self.pixels = pixels
    }

    /// Creates a picture from planes [3, height, width], or from the one plane of a grey picture, [1, height, width].
    public init(planes: [UInt8], width: Int, height: Int) {
        let plane = width * height
        precondition(planes.count == plane || planes.count == 3 * plane, "1 or 3 planes of height x width bytes")
        let distance = planes.count == plane ? 0 : plane
        let pixels = [UInt8](unsafeUninitializedCapacity: 3 * plane) { pixels, filled in
            for place in 0..<plane {
                for channel in 0..<3 { pixels[3 * place + channel] = planes[channel * distance + place] }
            }
            filled = 3 * plane
        }
        self.init(width: width, height: height, pixels: pixels)
    }

    /// The bytes of the picture as [3, height, width].
    public var planes: [UInt8] {
        let plane = width * height
        return [UInt8](unsafeUninitializedCapacity: 3 * plane) { target, filled in
            for place in 0..<plane {
                for channel in 0..<3 { target[channel * plane + place] = pixels[3 * place + channel] }
            }
            filled = 3 * plane
        }
    }
}

extension RGBImage: CustomStringConvertible {
    /// The size only: the pixels of one picture would fill a terminal.
    public var description: String { "RGBImage(\(width)x\(height))" }
}

/// Decodes and encodes JPEG and PNG files.
///
/// The content decides the format, not the name. Gray is repeated in the three channels, alpha and other transparency
/// are dropped, of 16 bits the upper 8 are kept, and neither EXIF orientation nor colour profiles are applied, as in
/// the field's preparation scripts.
public enum ImageFile {
    /// The maximum number of pixels of a picture that is decoded.
    public static let maximumPixels = 1 << 28

    /// Decodes a file named `name`; throws a `FileError` if it is damaged in any way or too large.
    public static func decode(_ bytes: UnsafeRawBufferPointer, name: String) throws -> RGBImage {
        var header = try readHeader(of: bytes, name: name)
        let (base, count) = (bytes.assumingMemoryBound(to: UInt8.self).baseAddress, bytes.count)
        let (width, height) = (Int(header.width), Int(header.height))
        let pixels = try [UInt8](unsafeUninitializedCapacity: width * height * 3) { target, filled in
            try call(name) { cimage_decode(base, count, &header, target.baseAddress, $0) }
            filled = width * height * 3
        }
        return RGBImage(width: width, height: height, pixels: pixels)
    }

    /// The size in pixels that a file declares; throws a `FileError` if it cannot have that size.
    public static func size(_ bytes: [UInt8], name: String) throws -> (width: Int, height: Int) {
        let header = try bytes.withUnsafeBytes { try readHeader(of: $0, name: name) }
        return (Int(header.width), Int(header.height))
    }

    /// The file's header, validated before anything of that size is allocated.
    private static func readHeader(of bytes: UnsafeRawBufferPointer, name: String) throws -> cimage_header {
        let (base, count) = (bytes.assumingMemoryBound(to: UInt8.self).baseAddress, bytes.count)
        guard count > 0 else { throw FileError(name, "is empty") }

        var header = cimage_header()
        try call(name) { cimage_read_header(base, count, &header, $0) }
        guard Int(header.format) != CIMAGE_UNKNOWN else { throw FileError(name, "is neither a JPEG nor a PNG file") }
        let (width, height) = (Int(header.width), Int(header.height))
        guard width > 0, height > 0 else { throw FileError(name, "has no pixels") }
        guard width <= maximumPixels / height else {
            throw FileError(name, "claims \(width)x\(height) pixels (limit \(maximumPixels))")
        }
        guard header.least_count <= count else {
            throw FileError(name, "claims \(width)x\(height) pixels, which \(count) bytes cannot hold")
        }
        return header
    }

    /// Decodes a file named `name`; throws a `FileError` if it is damaged in any way or too large.
    public static func decode(_ bytes: [UInt8], name: String) throws -> RGBImage {
        try bytes.withUnsafeBytes { try decode($0, name: name) }
    }

    /// The picture as a PNG file; the same pixels give the same bytes.
    public static func encodePNG(_ image: RGBImage) throws -> [UInt8] {
        var bytes: UnsafeMutablePointer<UInt8>?
        var count = 0
        try call("PNG of \(image.width)x\(image.height) pixels") {
            cimage_encode_png(image.pixels, UInt32(image.width), UInt32(image.height), &bytes, &count, $0)
        }
        defer { cimage_free(bytes) }
        return Array(UnsafeBufferPointer(start: bytes, count: count))
    }

    /// Writes the picture as a PNG file, atomically; throws a `FileError`.
    public static func writePNG(_ image: RGBImage, to path: String) throws {
        let bytes = try encodePNG(image)
        try AtomicFile.write(bytes, to: path)
    }

    /// Turns the message of a failed C function into a `FileError`.
    private static func call(_ name: String, _ body: (UnsafeMutablePointer<CChar>?) -> Int32) throws {
        try withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(CIMAGE_MESSAGE_COUNT)) { message in
            message.initialize(repeating: 0)
            guard body(message.baseAddress) != 0 else { return }
            throw FileError(name, "cannot be decoded: \(String(cString: message.baseAddress!))")
        }
    }
}
