import Data
import Formats
import Foundation
import TestSupport
import Testing
import Torch

/// Latents as REPA's and LightningDiT's scripts lay them out.
@Suite struct LatentFormatTests {
    private func npy(_ values: [Float], shape: [Int] = [2, 2, 2]) throws -> [UInt8] {
        let folder = try TemporaryFolder()
        try NumpyFile.write(NumpyArray(type: .F32, shape: shape, elements: values), to: folder.path + "/a.npy")
        return [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder.path + "/a.npy")))
    }

    private func list(_ labels: [(String, Int)]) -> [UInt8] {
        let pairs = labels.map { "[\"\($0)\", \($1)]" }.joined(separator: ", ")
        return Array("{\"labels\": [\(pairs)]}".utf8)
    }

    /// Two images with their latents; the second half of a latent's file is `second`.
    private func layout(second: [Float]) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try folder.add([
            "images/00000/img00000000.png": try png(), "images/00000/img00000001.png": try png(),
            "images/dataset.json": list([("00000/img00000000.png", 1), ("00000/img00000001.png", 0)]),
            "vae-sd/00000/img-mean-std-00000000.npy": try npy([1, 2, 3, 4] + second),
            "vae-sd/00000/img-mean-std-00000001.npy": try npy([5, 6, 7, 8] + second),
            "vae-sd/dataset.json": list([
                ("00000/img-mean-std-00000000.npy", 1), ("00000/img-mean-std-00000001.npy", 0),
            ]),
        ])
        return folder
    }

    private func record(_ source: any LatentSource, _ index: Int, mirrored: Bool = false) throws -> [Float] {
        let count = source.layout.elementCount
        return try [Float](unsafeUninitializedCapacity: count) { buffer, filled in
            try source.copyRecord(
                index, mirrored: mirrored, into: UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
            filled = count
        }
    }

    /// Files of other names may hold other latents, though their labels are the same.
    @Test func dataSetsOfOtherFilesAreToldApart() throws {
        func fingerprint(_ number: Int, _ indices: [Int]? = nil) throws -> String {
            let folder = try TemporaryFolder()
            let files = [number, 3].map { "00000/img-mean-std-0000000\($0).npy" }
            for file in files { try folder.add(["vae-sd/" + file: try npy([1, 2, 3, 4, 1, 1, 1, 1])]) }
            try folder.add(["vae-sd/dataset.json": list(files.map { ($0, 0) })])
            let source = try #require(try openLatents(path: folder.path))
            let whole = try LatentDataset(source, draws: Draws(seed: 1))
            return try indices.map { try DatasetPart(whole, indices: $0).fingerprint } ?? whole.fingerprint
        }
        #expect(try fingerprint(1) == fingerprint(1))
        #expect(try fingerprint(1) != fingerprint(2))
        #expect(try fingerprint(1, [0]) == fingerprint(1, [0]))
        #expect(try fingerprint(1, [0]) != fingerprint(1, [1]))
        #expect(try fingerprint(1, [0]) != fingerprint(2, [0]))
    }

    @Test func thePublishedLayoutIsRead() throws {
        let folder = try layout(second: [0, 0.5, 1, 2])
        let source = try #require(try openLatents(path: folder.path))
        #expect(source.entries.map(\.label) == [1, 0])
        #expect(source.layout == RecordLayout(content: .meanAndDeviation, type: .F32, channels: 1, side: 2))
        #expect(source.encoding.scale == [0.18215] && source.encoding.shift == [0])
        #expect(try record(source, 1) == [5, 6, 7, 8, 0, 0.5, 1, 2])
        #expect(try openLatents(path: folder.path + "/vae-sd")?.entries.count == 2)
    }

    @Test func logVariancesAreToldFromDeviations() throws {
        let folder = try layout(second: [0, -2, 2, -20])
        let values = try record(try #require(try openLatents(path: folder.path)), 0)
        #expect(Array(values[..<4]) == [1, 2, 3, 4])
        let logVariances: [Float] = [0, -2, 2, -20]
        for (value, logVariance) in zip(values[4...], logVariances) {
            let deviation = Float(exp(Double(logVariance) / 2))
            #expect(abs(value / deviation - 1) < 1e-6)
        }
    }

    @Test func imagesAndLatentsThatDoNotBelongTogetherAreListed() throws {
        let folder = try layout(second: [0, 0, 0, 0])
        try folder.add([
            "images/00000/img00000002.png": try png(),
            "images/dataset.json": list([
                ("00000/img00000000.png", 1), ("00000/img00000001.png", 2), ("00000/img00000002.png", 0),
            ]),
        ])
        let error = #expect(throws: FileError.self) { try openLatents(path: folder.path) }
        #expect(
            error?.problem == "does not fit the images beside it: 1 without a latent (00000/img00000002.png), "
                + "1 with another label than their image (00000/img-mean-std-00000001.npy)")
    }

    @Test func aLatentOfAnotherShapeIsNamed() throws {
        let folder = try layout(second: [0, 0, 0, 0])
        try folder.add(["vae-sd/00000/img-mean-std-00000001.npy": try npy([1, 2], shape: [2, 1, 1])])
        let error = #expect(throws: FileError.self) { try openLatents(path: folder.path) }
        #expect(error?.problem == "holds F32 [2, 1, 1] where F32 [2, 2, 2] is expected")
        #expect(error?.path.hasSuffix("img-mean-std-00000001.npy") == true)
    }

    /// LightningDiT's files: latents, those of the mirror images, and labels.
    private func shard(_ path: String, _ latents: [Float], labels: [Int]) throws {
        let shape = [labels.count, 1, 2, 2]
        let tensors: [(SafetensorsFile.Description, [UInt8])] = [
            (.init("latents", .F32, shape), latents.withUnsafeBytes { Array($0) }),
            (.init("latents_flip", .F32, shape), latents.map { -$0 }.withUnsafeBytes { Array($0) }),
            (.init("labels", .I64, [labels.count]), labels.withUnsafeBytes { Array($0) }),
        ]
        try SafetensorsFile.write(to: path, tensors: tensors.map(\.0)) { try $1.write(tensors[$0].1) }
    }

    @Test func lightningShardsAreRead() throws {
        let folder = try TemporaryFolder()
        try shard(folder.path + "/latents_rank00_shard000.safetensors", [1, 2, 3, 4, 5, 6, 7, 8], labels: [2, 0])
        try shard(folder.path + "/latents_rank00_shard001.safetensors", [9, 10, 11, 12], labels: [1])
        let source = try #require(try openLatents(path: folder.path))
        #expect(source.entries.map(\.label) == [2, 0, 1] && source.classNames == ["0", "1", "2"])
        #expect(try record(source, 1) == [5, 6, 7, 8])
        #expect(try record(source, 2, mirrored: true) == [-9, -10, -11, -12])
    }
}
