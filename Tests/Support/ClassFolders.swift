import Foundation

/// Writes PNG files of two classes in turn below a folder: `0/1000.png`, `1/1001.png`, `0/1002.png`, and so on.
public func writeClassFolders(_ count: Int, to folder: String, png: (_ index: Int) throws -> [UInt8]) throws {
    for index in 0..<count {
        let path = "\(folder)/\(index % 2)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try Data(png(index)).write(to: URL(fileURLWithPath: "\(path)/\(1000 + index).png"))
    }
}
