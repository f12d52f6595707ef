import Formats
import TestSupport
import Testing

@Suite struct ZipTests {
    @Test func anArchiveOfPythonIsRead() throws {
        let archive = try ZipArchive(path: fixture("python.zip"))
        #expect(
            archive.entries.map(\.name) == [
                "folder/", "folder/stored.txt", "folder/deflated.txt", "ünïcode-図.txt", "empty.txt",
            ])
        #expect(archive.entries[0].isFolder)
        let texts = try archive.entries.map { String(decoding: try archive.read($0), as: UTF8.self) }
        #expect(texts == ["", "stored bytes", String(repeating: "deflated ", count: 50), "name", ""])
    }

    @Test func longSizesAreRead() throws {
        let archive = try ZipArchive(path: fixture("zip64.zip"))
        #expect(try archive.entries.map { try archive.read($0) } == [Array("long sizes".utf8)])
    }

    @Test func damagedArchivesAreErrors() throws {
        for name in ["python.zip", "zip64.zip"] {
            try checkDamage(of: name) { path in
                let archive = try ZipArchive(path: path)
                for entry in archive.entries { _ = try archive.read(entry) }
            }
        }
    }

    /// Positions are those of the first entry's record in the list; see `readEntry` and APPNOTE 4.3.12.
    @Test(arguments: [
        (8, 0x01 as UInt8, "is encrypted; pack the archive without password"),
        (10, 0x0C, "uses compression method 12; pack it stored or deflated"),
        (16, 0xAA, "is damaged (wrong checksum); copy the archive again"),
        (24, 0x0B, "is stored but its two lengths differ"),
        (42, 0x03, "its local header does not match the archive's list; pack the archive again"),
        (46, 0x41, "its local header does not match the archive's list; pack the archive again"),
    ])
    func wrongEntriesAreNamed(offset: Int, value: UInt8, problem: String) throws {
        let folder = try TemporaryFolder()
        let writer = try NpzWriter(path: folder.path + "/a.npz")
        try writer.beginArray(itemShape: [2])
        try writer.finish()
        var bytes = try contents(folder.path + "/a.npz")
        let list = bytes.indices.last { bytes[$0...].starts(with: [0x50, 0x4B, 0x01, 0x02]) }!
        // The sizes and the offset lie in the Zip64 field after the name "arr_0.npy".
        let position = [24: list + 46 + 9 + 4, 42: list + 46 + 9 + 20][offset] ?? list + offset
        bytes[position] = value
        let path = try folder.file("b.npz", bytes)
        let error = #expect(throws: FileError.self) {
            let archive = try ZipArchive(path: path)
            _ = try archive.read(archive.entries[0])
        }
        let name = offset == 46 ? "Arr_0.npy" : "arr_0.npy"
        #expect(error?.description == "\(path): entry \(name): \(problem)")
    }

    @Test func aBombIsRefusedBeforeItsSizeIsAllocated() throws {
        let folder = try TemporaryFolder()
        var bytes = try contents(fixture("python.zip"))
        let list = bytes.indices.filter { bytes[$0...].starts(with: [0x50, 0x4B, 0x01, 0x02]) }
        // The uncompressed size of the third entry, the deflated one, becomes 3 GB.
        bytes.replaceSubrange(list[2] + 24..<list[2] + 28, with: [0, 0, 0, 0xB0])
        let path = try folder.file("bomb.zip", bytes)
        let archive = try ZipArchive(path: path)
        #expect(
            throws: FileError(path, "entry folder/deflated.txt: claims to inflate by more than 1032")
        ) { try archive.read(archive.entries[2]) }
    }

    @Test func entriesThatShareBytesAreRefused() throws {
        let folder = try TemporaryFolder()
        var bytes = try contents(fixture("python.zip"))
        let list = bytes.indices.filter { bytes[$0...].starts(with: [0x50, 0x4B, 0x01, 0x02]) }
        // The third entry is said to begin where the second does.
        bytes.replaceSubrange(list[2] + 42..<list[2] + 46, with: bytes[list[1] + 42..<list[1] + 46])
        let path = try folder.file("shared.zip", bytes)
        let error = #expect(throws: FileError.self) { try ZipArchive(path: path) }
        #expect(error?.problem == "entry folder/stored.txt: its data overlap what follows")
    }

    @Test func otherFilesAreNotArchives() throws {
        let path = fixture("python.npy")
        #expect(
            throws: FileError(
                path, "is not a ZIP archive, or its end is missing", remedy: "copy or pack the archive again")
        ) { try ZipArchive(path: path) }
    }
}
