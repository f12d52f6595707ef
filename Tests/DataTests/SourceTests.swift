import Data
import Formats
import Foundation
import TestSupport
import Testing

@Suite struct SourceTests {
    private func source(_ files: [String: [UInt8]]) throws -> any ImageSource {
        let folder = try TemporaryFolder()
        try folder.add(files)
        return try openSource(path: folder.path)
    }

    private func list(_ source: any ImageSource) -> [String] { source.entries.map { "\($0.name) \($0.label)" } }

    @Test func classFoldersAreSortedByName() throws {
        let source = try source([
            "dog/b.PNG": [1], "dog/a.jpeg": [2], "Cat/x.jpg": [3], "dog/deep/c.png": [4], "dog/notes.txt": [],
            "dog/.hidden.png": [], ".git/a.png": [], "about.txt": [],
        ])
        #expect(source.classNames == ["Cat", "dog"])
        #expect(list(source) == ["Cat/x.jpg 0", "dog/a.jpeg 1", "dog/b.PNG 1", "dog/deep/c.png 1"])
    }

    @Test func oneCommonFolderAboveTheClassesIsPassed() throws {
        let source = try source(["train/b/1.png": [], "train/a/1.png": [], "train/readme.txt": []])
        #expect(source.classNames == ["a", "b"])
        #expect(list(source) == ["train/a/1.png 0", "train/b/1.png 1"])
    }

    @Test func picturesOfOtherFormatsAreNamed() throws {
        let others = try source(["b/1.png": [], "a/1.png": [], "a/2.webp": [], "b/3.TIFF": [], "b/notes.txt": []])
        #expect(others.unread.sentence == "passed over, since JPEG and PNG alone are read: a/2.webp, b/3.TIFF")
        #expect(try source(["1.png": [], "notes.txt": []]).unread.sentence == nil)
    }

    @Test func imagesWithoutFoldersAreOneClass() throws {
        let source = try source(["2.png": [], "1.png": []])
        #expect(source.classNames.count == 1)
        #expect(list(source) == ["1.png 0", "2.png 0"])
    }

    @Test func aListOfLabelsDecides() throws {
        let labels = #"{"labels": [["00000/b.png", 2], ["00000/a.png", 0]]}"#
        for top in ["", "images/"] {
            let source = try source([
                top + "00000/a.png": [], top + "00000/b.png": [], top + "dataset.json": Array(labels.utf8),
            ])
            #expect(source.classNames == ["0", "1", "2"])
            #expect(list(source) == ["\(top)00000/a.png 0", "\(top)00000/b.png 2"])
        }
        let unlabelled = try source(["00000/a.png": [], "dataset.json": Array(#"{"labels": null}"#.utf8)])
        #expect(unlabelled.classNames.count == 1)
    }

    @Test func linksAreFollowed() throws {
        let folder = try TemporaryFolder()
        try folder.add(["real/1.png": [7]])
        try FileManager.default.createDirectory(atPath: folder.path + "/set", withIntermediateDirectories: true)
        for name in ["a", "b"] {
            try FileManager.default.createSymbolicLink(
                atPath: folder.path + "/set/\(name)", withDestinationPath: folder.path + "/real")
        }
        let source = try openSource(path: folder.path + "/set")
        #expect(list(source) == ["a/1.png 0", "b/1.png 1"])
        #expect(try source.read(1) == [7])

        try FileManager.default.createSymbolicLink(
            atPath: folder.path + "/real/loop", withDestinationPath: folder.path + "/set")
        #expect(throws: FileError.self) { try openSource(path: folder.path + "/set") }
    }

    @Test func anArchiveIsReadLikeAFolder() throws {
        let source = try openSource(path: fixture("odd-images.zip"))
        #expect(source.classNames == ["bad", "good"])
        #expect(
            source.entries.map(\.name)
                == source.entries.map(\.name).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
        let index = try #require(source.entries.firstIndex { $0.name == "bad/text.png" })
        #expect(try source.read(index).count == 136)
    }

    @Test func aTarIsReadLikeAFolder() throws {
        let source = try openSource(path: repository.path + "/Tests/FormatsTests/Fixtures/ustar.tar")
        #expect(source.entries.map(\.name) == ["n00/n00_7.JPEG", "n01/n01_7.JPEG"])
        #expect(source.entries.map(\.label) == [0, 1])
        #expect(source.classNames == ["n00", "n01"])
        #expect(try source.read(1) == Array("1".utf8))
    }

    @Test(
        arguments: [
            ([:], "holds no images; JPEG and PNG files are read (.jpg, .jpeg, .png)"),
            (["a/readme.txt": ""], "holds no images; JPEG and PNG files are read (.jpg, .jpeg, .png)"),
            (["a/1.png": "", "b/readme.txt": ""], "the class folder b holds no images; remove it or add its images"),
            (
                ["a/1.png": "", "2.png": ""],
                "holds the image 2.png beside folders of images; move it into a folder of its class"
            ),
            (
                ["1.png": "", "dataset.json": #"{"labels": [["2.png", 0]]}"#],
                "dataset.json: has no label for 1.png; add it or remove the image"
            ),
            (
                ["1.png": "", "dataset.json": #"{"labels": [["1.png", 0], ["2.png", 0]]}"#],
                "dataset.json: names the image 2.png, which is missing; add it or remove its label"
            ),
            (
                ["1.png": "", "dataset.json": #"{"labels": [["1.png", -1]]}"#],
                "dataset.json: label number 1 is not a path and a class in 0..<1048576"
            ),
            (["1.png": "", "dataset.json": #"{"labels": 3}"#], "dataset.json: has \"labels\" that are not a list"),
            (
                ["1.png": "", "dataset.json": "{"],
                "dataset.json: is not valid JSON: line 1, column 2: a name in quotation marks is expected"
            ),
        ] as [([String: String], String)])
    func wrongFoldersAreNamed(files: [String: String], message: String) throws {
        let folder = try TemporaryFolder()
        try folder.add(files.mapValues { Array($0.utf8) })
        let error = #expect(throws: FileError.self) { try openSource(path: folder.path) }
        #expect(error?.description == "\(folder.path): \(message)")
    }

    @Test func otherPathsAreNamed() throws {
        let folder = try TemporaryFolder()
        try folder.add(["a.tar": [1, 2, 3]])
        for (path, message) in [
            ("\(folder.path)/none", "cannot be opened: no such file or directory; check the spelling of the path"),
            (
                "\(folder.path)/a.tar",
                "is neither a folder nor a ZIP or tar archive; "
                    + "give a folder of images, or unpack a compressed archive (.tar.gz) first"
            ),
        ] {
            let error = #expect(throws: FileError.self) { try openSource(path: path) }
            #expect(error?.description == "\(path): \(message)")
        }
    }
}
