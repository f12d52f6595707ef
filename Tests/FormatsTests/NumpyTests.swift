import Formats
import Foundation
import TestSupport
import Testing

@Suite struct NumpyTests {
    @Test func filesOfNumpyAreRead() throws {
        let array = try NumpyFile.read(path: fixture("python.npy"))
        #expect(array.type == .F64)
        #expect(array.shape == [3, 4])
        #expect(array.elements(as: Double.self) == (0..<12).map { Double($0) / 8 })

        let arrays = try NumpyFile.readArchive(path: fixture("python.npz"))
        #expect(arrays.keys.sorted() == ["images", "mu"])
        #expect(arrays["mu"]?.elements(as: Double.self) == [1.5, -2.5])
        #expect(arrays["images"] == NumpyArray(type: .U8, shape: [2, 8, 8, 3], bytes: .init(repeating: 7, count: 384)))
    }

    @Test func writtenArraysAreReadBackEqual() throws {
        let folder = try TemporaryFolder()
        for array in [
            NumpyArray(type: .F32, shape: [2, 2], elements: [1.5, -2, 3, 4] as [Float]),
            NumpyArray(type: .I64, shape: [], elements: [-7]),
            NumpyArray(type: .I32, shape: [3], elements: [1, 2, 3] as [Int32]),
            NumpyArray(type: .BOOL, shape: [0, 5], bytes: []),
        ] {
            try NumpyFile.write(array, to: folder.path + "/a.npy")
            #expect(try NumpyFile.read(path: folder.path + "/a.npy") == array)
        }
        #expect(try folder.names == ["a.npy"])
    }

    @Test func anArchiveGrowsWhileItIsWritten() throws {
        let folder = try TemporaryFolder()
        let path = folder.path + "/samples.npz"
        let writer = try NpzWriter(path: path)
        try writer.beginArray(itemShape: [2, 2, 3])
        for item in 0..<5 { try writer.append([UInt8](repeating: UInt8(item), count: 12)) }
        try writer.beginArray("labels", type: .I64, itemShape: [])
        try [Int64(3), 4].withUnsafeBytes { try writer.append($0) }
        try writer.finish()

        let arrays = try NumpyFile.readArchive(path: path)
        #expect(arrays["arr_0"]?.shape == [5, 2, 2, 3])
        #expect(arrays["arr_0"]?.bytes == (0..<60).map { UInt8($0 / 12) })
        #expect(arrays["labels"]?.elements(as: Int64.self) == [3, 4])
        #expect(try folder.names == ["samples.npz"])
    }

    @Test func anUnfinishedArchiveLeavesNothing() throws {
        let folder = try TemporaryFolder()
        do {
            let writer = try NpzWriter(path: folder.path + "/samples.npz")
            try writer.beginArray(itemShape: [4])
        }
        #expect(try folder.names.isEmpty)
    }

    @Test func damagedFilesAreErrors() throws {
        try checkDamage(of: "python.npy") { _ = try NumpyFile.read(path: $0) }
        try checkDamage(of: "python.npz") { _ = try NumpyFile.readArchive(path: $0) }
    }

    @Test(arguments: [
        ("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", "has elements of type >f4"),
        ("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2), }", "is in Fortran order"),
        ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", "not that of a plain array"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)", "not that of a plain array"),
        ("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "not that of a plain array"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", "not that of a plain array"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 8), }", "has 8 bytes of data"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", "has 8 bytes of data for [3] of F32"),
    ])
    func wrongHeadersAreNamed(header: String, problem: String) throws {
        let bytes: [UInt8] =
            [0x93] + "NUMPY".utf8 + [1, 0, UInt8(header.utf8.count), 0] + header.utf8 + [UInt8](repeating: 0, count: 8)
        let error = #expect(throws: FileError.self) {
            try bytes.withUnsafeBytes { try NumpyFile.decode($0, name: "a.npy") }
        }
        #expect(error?.description.hasPrefix("a.npy: ") == true)
        #expect(error?.problem.contains(problem) == true, "\(error?.problem ?? "")")
    }

    @Test func itemsAreReadOneByOne() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/items.npz"
            let writer = try NpzWriter(path: path)
            try writer.beginArray("first", itemShape: [2])
            try writer.append([9, 8, 7, 6])
            try writer.beginArray(itemShape: [2, 3])
            try writer.append((0..<30).map { UInt8($0) })
            try writer.finish()
            let items = try #require(try NumpyItems(path: path, name: "arr_0"))
            #expect(items.shape == [5, 2, 3] && items.type == .U8)
            #expect((0..<5).map(items.item) == (0..<5).map { index in (0..<6).map { UInt8(6 * index + $0) } })
            #expect(try NumpyItems(path: path, name: "arr_1") == nil)
            var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            let place = try #require(bytes.firstRange(of: Data((0..<30).map { UInt8($0) }))).lowerBound
            bytes[place + 7] = 99
            try bytes.write(to: URL(fileURLWithPath: path))
            #expect(throws: FileError.self) { try NumpyItems(path: path, name: "arr_0") }
        }
    }
}
