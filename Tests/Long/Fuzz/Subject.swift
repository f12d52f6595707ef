import CZlib
import Data
import Formats
import Foundation
import Transcend

/// A format with whole files of it, and the code that reads one to its end.
struct Subject {
    let name: String
    let seeds: [[UInt8]]
    /// Where a damaged one is put, below the working folder; nil: under the name.
    var file: String?
    /// Sets checksums right again, so that damage reaches what lies behind them.
    var repair: (_ bytes: inout [UInt8]) -> Void = { _ in }
    let read: (_ path: String) throws -> Void

    /// All formats that strangers' files come in; the files are the fixtures of the tests in `repository`, and a store that is
    /// made in `folder`.
    static func all(repository: String, folder: String) throws -> [Subject] {
        func fixture(_ name: String) throws -> [UInt8] {
            [UInt8](
                try Foundation.Data(
                    contentsOf: URL(fileURLWithPath: repository + "/Tests/FormatsTests/Fixtures/" + name)))
        }
        let archive = try ZipArchive(path: repository + "/Tests/DataTests/Fixtures/odd-images.zip")
        func pictures(_ suffixes: [String]) throws -> [[UInt8]] {
            let entries = archive.entries.filter { entry in
                entry.count < 6000 && suffixes.contains { entry.name.hasSuffix($0) }
            }
            return try entries.map { try archive.read($0) }
        }
        return [
            Subject(name: "pickle", seeds: [try fixture("pytorch-old.pt")], read: readPyTorch),
            Subject(
                name: "pytorch", seeds: try ["pytorch-unchecked.pt", "pytorch-big.pt", "pytorch.pt"].map(fixture),
                read: readPyTorch),
            Subject(name: "safetensors", seeds: try ["python.safetensors", "pytorch-big.safetensors"].map(fixture)) {
                let file = try SafetensorsFile(path: $0)
                for name in file.names { try file.withBytes(of: name) { touch($0) } }
            },
            Subject(name: "npy", seeds: [try fixture("python.npy")]) { _ = try NumpyFile.read(path: $0) },
            Subject(name: "npz", seeds: [try fixture("python.npz")]) { _ = try NumpyFile.readArchive(path: $0) },
            Subject(name: "zip", seeds: try ["python.zip", "zip64.zip", "python.npz"].map(fixture)) {
                let archive = try ZipArchive(path: $0)
                for entry in archive.entries { try? archive.read(entry).withUnsafeBytes { touch($0) } }
            },
            Subject(name: "png", seeds: try pictures([".png"]), repair: repairPNG, read: readPicture),
            Subject(name: "jpeg", seeds: try pictures([".jpg", ".jpeg"]), read: readPicture),
            Subject(
                name: "tar", seeds: try ["gnu.tar", "pax.tar", "ustar.tar"].map(fixture), repair: repairTar,
                read: readTar),
            try .store("manifest", file: "manifest.json", in: folder),
            try .store("shard", file: "shard-00000.safetensors", in: folder),
            Subject(name: "yaml", seeds: configurations.map { Array($0.utf8) }) {
                _ = try ConfigurationFile(path: $0)
            },
        ]
    }

    private static func readPyTorch(_ path: String) throws {
        let tensors = try PyTorchTensors(PyTorchFile(path: path))
        for name in tensors.names { try? tensors.withBytes(of: name) { touch($0) } }
    }

    /// Chunks are length, name, content, and the CRC-32 of name and content, big-endian (PNG specification, 5.3).
    private static func repairPNG(_ bytes: inout [UInt8]) {
        var position = 8
        while position + 12 <= bytes.count {
            let count = bytes[position..<position + 4].reduce(0) { $0 << 8 | Int($1) }
            guard count <= bytes.count - position - 12 else { return }
            let end = position + 8 + count
            let crc = bytes[position + 4..<end].withUnsafeBufferPointer { czlib_crc32(0, $0.baseAddress, $0.count) }
            for byte in 0..<4 { bytes[end + byte] = UInt8(truncatingIfNeeded: crc >> UInt32(24 - 8 * byte)) }
            position = end + 4
        }
    }

    /// A header's checksum is the sum of its bytes with spaces in place of itself (POSIX.1-1988, ustar).
    private static func repairTar(_ bytes: inout [UInt8]) {
        for block in stride(from: 0, to: bytes.count - 511, by: 512)
        where bytes[block + 257..<block + 262].elementsEqual("ustar".utf8) {
            let field = block + 148..<block + 156
            let sum =
                bytes[block..<block + 512].reduce(0) { $0 + Int($1) } - bytes[field].reduce(0) { $0 + Int($1) } + 256
            let digits = String(sum, radix: 8)
            let text = String(repeating: "0", count: 6 - digits.count) + digits + "\0 "
            bytes.replaceSubrange(field, with: text.utf8)
        }
    }

    private static func readTar(_ path: String) throws {
        let archive = try TarArchive(path: path)
        for entry in archive.entries { archive.read(entry).withUnsafeBytes { touch($0) } }
        _ = try? TarSource(path: path)
    }

    private static let configurations = [
        """
        # All stages, then one.
        preset: demo
        steps: 200
        schedule: {learningRate: 1e-3, warmupSteps: 10}
        network: &network
          depth: 4
          mlpRatio: 4.0
        data:
          source: "pictures"
          flips: true
        align:
          method: {alignment: {window: [0.4, 0.7], studentDepth: 2}}
        selfguided:
          steps: 9000
          network: *network

        """,
        #"{"batch": 32, "method": {"name": "plain"}, "optimizer": {"adamW": {"beta1": 0.9}, "emaDecay": 0.99}}"#,
    ]

    private static func readPicture(_ path: String) throws {
        _ = try MappedFile(path: path).withBytes { try ImageFile.decode($0, name: path) }
    }

    /// Reads the first and last byte, so that a range outside of the file is noticed.
    static func touch(_ bytes: UnsafeRawBufferPointer) {
        if let first = bytes.first, let last = bytes.last { sink = first ^ last }
    }
}

/// What was read, so that reading is not optimised away.
nonisolated(unsafe) var sink: UInt8 = 0
