import Formats
import TestSupport
import Testing

@Suite struct TarTests {
    private func contents(_ archive: TarArchive) -> [String: String] {
        Dictionary(
            uniqueKeysWithValues: archive.entries.map { ($0.name, String(decoding: archive.read($0), as: UTF8.self)) })
    }

    /// Written by Python with a name of 130 characters, a link, a folder, and a file that comes twice: the later one counts.
    @Test(arguments: ["gnu.tar", "pax.tar"]) func longNamesAreRead(name: String) throws {
        let archive = try TarArchive(path: fixture(name))
        let long = "folder/" + String(repeating: "x", count: 120) + "-ü.txt"
        #expect(contents(archive) == [long: "long", "a.txt": "second", "empty.txt": ""])
    }

    @Test func anArchiveWithinIsAFolderOfItsName() throws {
        let archive = try TarArchive(path: fixture("ustar.tar"))
        let deep = String(repeating: "d", count: 90) + "/" + String(repeating: "e", count: 60) + ".txt"
        #expect(
            contents(archive) == [
                "n00/n00_7.JPEG": "0", "n00/" + deep: "deep", "n01/n01_7.JPEG": "1", "n01/" + deep: "deep",
            ])
    }

    @Test func anArchiveThatWasCutIsAnError() throws {
        let folder = try TemporaryFolder()
        for name in ["gnu.tar", "pax.tar", "ustar.tar"] {
            let whole = try FormatsTests.contents(fixture(name))
            // Of the two blocks of zeros at the end one suffices.
            for count in stride(from: 0, to: whole.count - 1023, by: 101) {
                let path = try folder.file("short.tar", whole.prefix(count))
                #expect(throws: FileError.self, "\(name) cut to \(count) bytes") { try TarArchive(path: path) }
            }
        }
    }

    /// Records are LENGTH KEY=VALUE and a newline, all of it counted.
    @Test(arguments: [
        "7 path=", "8 path=a\n", "3 =", "99 path=a\n", "0 path=a\n", "path=a\n", "-9 path=a\n", "9 size=-\n",
    ])
    func aDamagedPaxRecordIsAnError(record: String) throws {
        // A header by the offsets of POSIX.1-1988: name, size, checksum, kind, "ustar".
        var header = [UInt8](repeating: 0, count: 512)
        let size = String(record.utf8.count, radix: 8)
        for (offset, text) in [(0, "pax"), (124, size), (148, "        "), (156, "x"), (257, "ustar")] {
            header.replaceSubrange(offset..<offset + text.utf8.count, with: text.utf8)
        }
        let sum = String(header.reduce(0) { $0 + Int($1) }, radix: 8)
        header.replaceSubrange(148..<148 + sum.utf8.count, with: sum.utf8)
        let content = Array(record.utf8) + [UInt8](repeating: 0, count: 512 - record.utf8.count)
        let folder = try TemporaryFolder()
        let path = try folder.file("pax.tar", header + content + [UInt8](repeating: 0, count: 1024))
        let error = #expect(throws: FileError.self) { try TarArchive(path: path) }
        #expect(error?.problem.contains("in a pax header") == true || error?.problem == "has a damaged pax header")
    }

    @Test func aChangedHeaderIsAnErrorAndNamesThePlace() throws {
        let folder = try TemporaryFolder()
        let whole = try FormatsTests.contents(fixture("gnu.tar"))
        // Byte 155 lies behind the end of the checksum's digits.
        for position in 0..<512 where position != 155 {
            var bytes = whole
            bytes[position] ^= 0x41
            let path = try folder.file("changed.tar", bytes)
            let error = #expect(throws: FileError.self, "changed at \(position)") { try TarArchive(path: path) }
            #expect(error?.problem == "has a damaged header at byte 0")
        }
    }
}
