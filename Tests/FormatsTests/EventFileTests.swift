import Formats
import Foundation
import TestSupport
import Testing

@Suite struct EventFileTests {
    /// The same events as TensorBoard 2.21 writes them (RecordWriter of its protocol messages).
    @Test func eventsAreThoseThatTensorBoardWrites() throws {
        let expected =
            "1800000000000000a37f4b220900000000000004401a0d627261696e2e4576656e743a32b19bcaec0f000000000000006d532b0909000000000000044010073a0208019aaf83ce"
            + "2400000000000000422b804d09000000000000f83f10ac022a160a0a0a03612f62150000803e0a080a016315000040c05dcf2233"
            + "2100000000000000017becf609000000000000f83f10082a140a120a0173220d080210ac021803220489504e47659fe7cd"
        try withTemporaryFolder { folder in
            let file = try EventFile(folder: folder, firstStep: 7, seconds: 2.5)
            try file.append(step: 300, [("a/b", 0.25), ("c", -3)], seconds: 1.5)
            try file.append(step: 8, tag: "s", png: [0x89, 0x50, 0x4E, 0x47], width: 300, height: 2, seconds: 1.5)
            let bytes = try Data(contentsOf: URL(fileURLWithPath: file.path))
            #expect(bytes.map { String(format: "%02x", $0) }.joined() == expected)
            #expect(file.path.contains("/events.out.tfevents.2."))
        }
    }

    @Test func aFolderThatCannotBeWrittenIsAnError() {
        #expect(throws: FileError.self) { try EventFile(folder: "/proc/none", firstStep: 0) }
    }
}
