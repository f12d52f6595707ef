import Foundation
import TestSupport
import Testing

/// A use of the program that must end with an exit status and one line on stderr, and change nothing.
struct WrongUse: Sendable, CustomTestStringConvertible {
    var arguments: [String]
    var status: Int32
    /// What the line must contain.
    var message: String
    /// What lies in the working folder: some of `SharedPlaces`.
    var places: [String] = []
    /// Makes of the working folder what is wrong with it.
    var prepare: @Sendable (_ folder: String) throws -> Void = { _ in }
    /// The program that starts this one, with its arguments.
    var launcher: [String] = []

    /// `command` is split at spaces; TINY, ALIGN and PLAIN in it are the flags of a tiny run of a pipeline or stage, GOLDEN
    /// is the folder of golden files, '' an empty argument.
    init(
        _ status: Int32, _ message: String, _ command: String, with places: String..., through launcher: [String] = [],
        prepare: @escaping @Sendable (_ folder: String) throws -> Void = { _ in }
    ) {
        let words: [Substring: [String]] = [
            "TINY": tiny, "ALIGN": alignTiny, "PLAIN": plainTiny, "''": [""],
            "EXTRACTOR": [fixture("colours.pt")],
        ]
        arguments = command.split(separator: " ").flatMap { word in
            words[word] ?? [String(word).replacing("GOLDEN", with: repository.path + "/Tests/Golden")]
        }
        (self.status, self.message, self.places, self.launcher) = (status, message, places, launcher)
        (self.prepare, testDescription) = (prepare, (launcher + [command]).joined(separator: " ") + ": " + message)
    }

    let testDescription: String

    /// Runs the program in a folder of its own.
    func check() throws {
        try withTemporaryFolder { folder in
            let place = folder + "/work"
            try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
            for name in places {
                try FileManager.default.copyItem(
                    atPath: SharedPlaces.folder.get() + "/" + name, toPath: "\(place)/\(name)")
            }
            try prepare(place)
            let before = try tree(of: place)
            let ended = try transcend(arguments, in: folder, environment: ["OMP_NUM_THREADS": "1"]) { process in
                process.currentDirectoryURL = URL(fileURLWithPath: place)
                guard let launcher = launcher.first, let program = process.executableURL?.path else { return }
                process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
                process.arguments = [launcher] + self.launcher.dropFirst() + [program] + arguments
            }
            #expect(ended.status == status, "\(ended.errors)")
            #expect(ended.errorLines.count == 1, "\(ended.errors)")
            #expect(ended.errors.hasPrefix("transcend: error: ") && ended.errors.contains(message), "\(ended.errors)")
            #expect(ended.output.isEmpty)
            let after = try tree(of: place)
            let changed = Set(before.keys).union(after.keys).filter { before[$0] != after[$0] }
            #expect(changed.isEmpty)
        }
    }

    private struct Place: Equatable {
        let mode: mode_t
        let bytes: Data?
    }

    /// Every file, link and folder below a folder: its kind and mode, and what it holds.
    private func tree(of folder: String) throws -> [String: Place] {
        var tree: [String: Place] = [:]
        for name in try FileManager.default.subpathsOfDirectory(atPath: folder) {
            var status = stat()
            guard lstat(folder + "/" + name, &status) == 0 else { continue }
            // A lock names the process that took it last.
            let isFile = status.st_mode & S_IFMT == S_IFREG && !name.hasSuffix("/lock")
            let bytes = isFile ? FileManager.default.contents(atPath: folder + "/" + name) : nil
            tree[name] = Place(mode: status.st_mode, bytes: bytes)
        }
        return tree
    }
}

/// What wrong uses are tried on; made once.
enum SharedPlaces {
    /// `run`: a pipeline of two steps in each stage. `images`: two classes of three pictures. `store`: those as a store.
    static let folder: Result<String, any Error> = Result {
        let folder = try TemporaryFolder()
        try writeImages(6, side: 24, in: folder.path)
        for arguments in [
            ["prepare", "--data", "images", "--resolution", "24", "--out", "store"],
            ["pipeline", "--steps", "2", "--out", "run"] + tiny,
        ] {
            let ended = try transcend(arguments, in: folder.path, environment: ["OMP_NUM_THREADS": "1"])
            try #require(ended.status == 0, "\(ended.errors)")
        }
        kept = folder
        atexit { SharedPlaces.kept = nil }
        return folder.path
    }

    /// Until the tests end.
    private nonisolated(unsafe) static var kept: TemporaryFolder?
}
