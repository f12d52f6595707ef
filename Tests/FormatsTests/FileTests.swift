import Formats
import Foundation
import TestSupport
import Testing

@Suite struct FileTests {
    @Test func aFileAppearsWholeAndReplacesTheOldOne() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("a.txt", "old".utf8)
        let large = [UInt8](repeating: 9, count: 3 << 20)
        try AtomicFile.write(to: path) { writer in
            try writer.write(Array("new ".utf8))
            try writer.write(large)
            try writer.replace(at: 1, with: Array("EW".utf8))
            try writer.write(Array("end".utf8))
            #expect(writer.offset == 7 + large.count)
            #expect(try contents(path) == Array("old".utf8))
        }
        #expect(try contents(path) == "nEW ".utf8 + large + "end".utf8)
        #expect(try folder.names == ["a.txt"])
    }

    @Test func anErrorLeavesTheOldFileAndNothingElse() throws {
        struct Failure: Error {}
        let folder = try TemporaryFolder()
        let path = try folder.file("a.txt", "old".utf8)
        #expect(throws: Failure.self) {
            try AtomicFile.write(to: path) { writer in
                try writer.write([1, 2, 3])
                throw Failure()
            }
        }
        #expect(try contents(path) == Array("old".utf8))
        #expect(try folder.names == ["a.txt"])
    }

    @Test func aMissingFolderIsNamed() {
        let error = #expect(throws: FileError.self) { try AtomicFile.write(to: "/no/such/a.txt") { _ in } }
        #expect(
            error?.description
                == "/no/such/a.txt: cannot be written: no such file or directory; check the spelling of the path")
    }

    @Test func aFullDiskIsNamed() {
        let error = FileError.system("/data/a", "cannot be written", code: ENOSPC)
        #expect(
            error.description
                == "/data/a: cannot be written: no space left on device; free some space there or write to another disk"
        )
    }

    @Test func mappingNeedsAFile() throws {
        let folder = try TemporaryFolder()
        #expect(throws: FileError(folder.path, "is not a regular file", remedy: "give the path of a file")) {
            try MappedFile(path: folder.path)
        }
        #expect(try MappedFile(path: folder.file("empty", [])).bytes.isEmpty)
        #expect(try MappedFile(path: folder.file("three", [1, 2, 3])).withBytes { Array($0) } == [1, 2, 3])
    }

    @Test func anErrorIsOneLine() {
        #expect(FileError("a\nb", "is odd").description == "a b: is odd")
        #expect(FileError("a", "is odd", remedy: "look").description == "a: is odd; look")
    }
}
