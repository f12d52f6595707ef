import Formats
import Foundation

/// The paths of all files below a folder, relative to it, and of its subfolders, which end with "/".
struct FolderList {
    /// The maximum nesting depth of folders that is followed.
    static let maximumDepth = 32

    private(set) var names: [String] = []
    private let path: String

    init(path: String) throws {
        self.path = path
        try list("", above: [])
    }

    private mutating func list(_ folder: String, above: [FolderIdentity]) throws {
        let full = folder.isEmpty ? path : path + "/" + folder
        var status = stat()
        guard let directory = opendir(full), fstat(dirfd(directory), &status) == 0 else {
            throw FileError.system(full, "cannot be opened", code: errno)
        }
        defer { closedir(directory) }
        let identity = FolderIdentity(device: status.st_dev, node: status.st_ino)
        guard !above.contains(identity), above.count < Self.maximumDepth else {
            throw FileError(full, "is a link to a folder above it, or nested too deeply", remedy: "remove the link")
        }
        while let record = readdir(directory) {
            let (name, isText) = withUnsafePointer(to: &record.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) {
                    (String(cString: $0), String(validatingCString: $0) != nil)
                }
            }
            if name.hasPrefix(".") { continue }
            guard isText else {
                throw FileError(full, "holds a name that is not text in UTF-8: \(name)", remedy: "rename it")
            }
            var kind = Int(record.pointee.d_type)
            if kind == Int(DT_LNK) || kind == Int(DT_UNKNOWN) {
                // A broken link is listed, and fails with its name when it is read.
                let isFolder = stat(full + "/" + name, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
                kind = isFolder ? Int(DT_DIR) : Int(DT_REG)
            }
            if kind == Int(DT_DIR) {
                names.append(folder + name + "/")
                try list(folder + name + "/", above: above + [identity])
            } else {
                names.append(folder + name)
            }
        }
    }

    private struct FolderIdentity: Equatable {
        var device: dev_t
        var node: ino_t
    }
}
