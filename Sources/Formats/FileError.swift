import Foundation

/// What is wrong with a file and what to do about it, as one sentence: `PATH: PROBLEM; REMEDY`.
public struct FileError: Error, CustomStringConvertible, Equatable, Sendable {
    /// The file, or the archive with the entry.
    public var path: String
    /// What is wrong, without a full stop.
    public var problem: String
    /// What the user can do; empty where there is nothing to say.
    public var remedy: String

    /// `problem` without the path before it and without a full stop; an empty `remedy` is left out.
    public init(_ path: String, _ problem: String, remedy: String = "") {
        self.path = path
        self.problem = problem
        self.remedy = remedy
    }

    /// The failure of a system call, from its `errno`; `action` is what was tried ("cannot be opened").
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

    /// One line; line breaks that names from a file may hold are shown as spaces.
    public var description: String {
        let sentence = remedy.isEmpty ? "\(path): \(problem)" : "\(path): \(problem); \(remedy)"
        return String(sentence.map { $0.isNewline ? " " : $0 })
    }
}

extension FileError: LocalizedError {
    public var errorDescription: String? { description }
}
