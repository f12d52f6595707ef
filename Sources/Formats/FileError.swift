import Foundation

/// A problem with a file and its remedy, as one sentence: `PATH: PROBLEM; REMEDY`.
public struct FileError: Error, CustomStringConvertible, Equatable, Sendable {
    /// The path of the file, or of the archive with the entry.
    public var path: String
    /// The problem, without a full stop.
    public var problem: String
    /// The remedy for the user; empty if there is none.
    public var remedy: String

    /// Creates an error; `problem` has neither the path nor a full stop, and an empty `remedy` is omitted.
    public init(_ path: String, _ problem: String, remedy: String = "") {
        self.path = path
        self.problem = problem
        self.remedy = remedy
    }

    /// The failure of a system call, from its `errno`; `action` is the failed action ("cannot be opened").
    public static func system(_ path: String, _ action: String, code: Int32) -> FileError {
        let reason = String(cString: strerror(code)).lowercased()
        let remedy =
            switch code {
            case ENOSPC, EDQUOT: "free some space there or write to another disk"
            case EACCES, EPERM, EROFS: "check the owner and the mode of the file and of its folder"
            case ENOENT: "check the spelling of the path"
            case EMFILE, ENFILE: "raise the limit of open files (ulimit -n)"
            default: ""
            }
        return FileError(path, "\(action): \(reason)", remedy: remedy)
    }

    /// The error on one line; line breaks in names from a file are shown as spaces.
    public var description: String {
        let sentence = remedy.isEmpty ? "\(path): \(problem)" : "\(path): \(problem); \(remedy)"
        return String(sentence.map { $0.isNewline ? " " : $0 })
    }
}

extension FileError: LocalizedError {
    public var errorDescription: String? { description }
}
