import Formats
import Foundation
import TestSupport
import Testing

@Suite struct SafetensorsTests {
    @Test func aFileOfThePythonLibraryIsRead() throws {
        let file = try SafetensorsFile(path: fixture("python.safetensors"))
        #expect(file.metadata == ["about": "two\nlines"])
        // The library's order: by type, larger ones first, then by name; so every tensor is aligned.
        #expect(file.names == ["a.weight", "scalar", "b.weight", "empty", "half", "größe \"q\"", "flags"])
        #expect(file.entries["b.weight"]?.type == .F32)
        #expect(file.entries["b.weight"]?.shape == [2, 3])
        #expect(file.entries["scalar"]?.shape == [])
        #expect(file.entries["empty"]?.range.count == 0)
        let weights = try file.withBytes(of: "b.weight") { bytes in
            (0..<6).map { bytes.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self) }
        }
        #expect(weights == [0, 0.25, 0.5, 0.75, 1, 1.25])
        #expect(try file.withBytes(of: "größe \"q\"") { Array($0) } == [7, 8, 9])
        #expect(throws: FileError(fixture("python.safetensors"), "has no tensor \"c\"")) {
            try file.withBytes(of: "c") { _ in }
        }
    }

    @Test func whatIsWrittenEqualsWhatThePythonLibraryWrites() throws {
        let path = fixture("python.safetensors")
        let file = try SafetensorsFile(path: path)
        let folder = try TemporaryFolder()
        let copy = folder.path + "/copy.safetensors"
        // In the order of names, which is not that of the file.
        let tensors = file.names.sorted().map {
            SafetensorsFile.Description($0, file.entries[$0]!.type, file.entries[$0]!.shape)
        }
        try SafetensorsFile.write(to: copy, metadata: file.metadata, tensors: tensors) { index, writer in
            try file.withBytes(of: tensors[index].name) { try writer.write($0) }
        }
        #expect(try contents(copy) == contents(path))
    }

    @Test func damagedFilesAreErrors() throws {
        try checkDamage(of: "python.safetensors") { path in
            let file = try SafetensorsFile(path: path)
            for name in file.names { _ = try file.withBytes(of: name) { Array($0) } }
        }
    }

    @Test(arguments: [
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, "takes 8 bytes, its data_offsets hold 4"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, "has 4 bytes after its last tensor"),
        (#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}"#, "do not lie in the file's 8 bytes"),
        (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, "does not follow the one before"),
        (#"{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, "its shape is not a list of sizes"),
        (#"{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}"#, "its shape is not a list of sizes"),
        (#"{"a":{"dtype":"F8_E8M0","shape":[8],"data_offsets":[0,8]}}"#, "its type \"F8_E8M0\" is not among"),
        (#"{"a":{"dtype":"F32","shape":[4611686018427387905,4],"data_offsets":[0,8]}}"#, "its shape is not a list"),
        (#"{"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}}"#, "17 dimensions"),
        (#"{"a":{"dtype":"U8","shape":[8],"data_offsets":[8,0]}}"#, "its data_offsets do not lie"),
        (#"{"a":{"dtype":"U8","shape":[8],"data_offsets":[0]}}"#, "its data_offsets do not lie"),
        (#"{"a":{"dtype":"U8","shape":[8]}}"#, "exactly dtype, shape and data_offsets are expected"),
        (#"{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8],"x":1}}"#, "exactly dtype, shape and data_offsets"),
        (#"{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"a":1}"#, "the name \"a\" occurs twice"),
        (
            #"{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}"#,
            "tensor \"b\": its data overlaps the one before"
        ),
        (#"{"__metadata__":{"a":1}}"#, "has metadata \"a\" that are not a text"),
        (#"[]"#, "has a safetensors header without names"),
        (#"{"a":}"#, "not valid JSON: line 1, column 6"),
    ])
    func wrongHeadersAreNamed(header: String, problem: String) throws {
        let folder = try TemporaryFolder()
        let length = withUnsafeBytes(of: UInt64(header.utf8.count)) { Array($0) }
        let path = try folder.file("wrong.safetensors", length + header.utf8 + [UInt8](repeating: 0, count: 8))
        let error = #expect(throws: FileError.self) { try SafetensorsFile(path: path) }
        #expect(error?.path == path)
        #expect(error?.problem.contains(problem) == true, "\(error?.problem ?? "")")
    }

    @Test func aHeaderBeyondTheLimitIsNotRead() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("picture.safetensors", [UInt8](repeating: 0xFF, count: 64))
        let error = #expect(throws: FileError.self) { try SafetensorsFile(path: path) }
        #expect(error?.problem.contains("limit 100000000") == true)
    }
}
