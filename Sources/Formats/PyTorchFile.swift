import CZlib
import Foundation
import Synchronization

/// A `torch.save` file: a zip archive, or a series of pickles as before PyTorch 1.6; mapped into memory.
///
/// Nothing in it is executed: objects of foreign classes stay plain data (`PickleValue`). Tensors are checked when they
/// are requested.
public final class PyTorchFile: Sendable {
    /// The value that was saved.
    public let root: PickleValue
    /// The file's bytes.
    public let mapping: MappedFile
    /// The storages by their keys.
    private let storages: [String: StoredBytes]
    private let isBigEndian: Bool
    /// The keys of the storages whose checksum has been verified.
    private let checked = Mutex<Set<String>>([])

    /// The position of a storage, and its checksum if the file has one.
    struct StoredBytes {
        let range: Range<Int>
        var crc: UInt32?
    }

    /// Whether a file begins like a `torch.save` file, old or new; throws a `FileError` if it cannot be read.
    public static func isOne(path: String) throws -> Bool {
        try MappedFile(path: path).withBytes { isZip($0) || PyTorchOldFormat.begins($0) }
    }

    private static func isZip(_ bytes: UnsafeRawBufferPointer) -> Bool { bytes.starts(with: [0x50, 0x4B, 3, 4]) }

    /// Opens a file and reads its pickle; throws a `FileError` with the reason if that fails.
    public init(path: String) throws {
        mapping = try MappedFile(path: path)
        if mapping.withBytes(Self.isZip) {
            let content = try PyTorchArchive(ZipArchive(path: path))
            (root, storages, isBigEndian) = (content.root, content.storages, content.isBigEndian)
        } else {
            let content = try mapping.withBytes { try PyTorchOldFormat($0, path: path) }
            (root, storages, isBigEndian) = (content.root, content.storages, false)
        }
    }

    /// The tensor that a value represents; nil if it is something else. Throws a `FileError` that calls it `name`.
    public func tensor(_ value: PickleValue, name: String) throws -> PyTorchTensor? {
        func wrong(_ problem: String) -> FileError { FileError(mapping.path, "tensor \"\(name)\" \(problem)") }
        do {
            guard let tensor = try PyTorchPickle.tensor(value) else { return nil }
            // A view may repeat elements (stride 0), but is never expanded beyond the size of the file.
            guard let count = tensor.type.byteCount(shape: tensor.shape), count <= mapping.count else {
                throw wrong("repeats its elements too often to be read")
            }
            guard let stored = storages[tensor.storage] else { throw wrong("has no storage in the file") }
            let reach = zip(tensor.shape, tensor.strides).reduce(tensor.offset + 1) { $0 + max(0, $1.0 - 1) * $1.1 }
            guard tensor.shape.contains(0) || reach * tensor.type.byteCount <= stored.range.count else {
                throw wrong("has a storage that is shorter than it should be")
            }
            return tensor
        } catch let problem as PyTorchPickle.Problem {
            throw wrong(problem.text)
        }
    }

    /// Calls `body` with the bytes of a tensor (C order, little-endian), valid until it returns: those of the mapped
    /// file if they are in this order there, else a copy. Throws a `FileError` if the storage is damaged.
    public func withBytes<Result>(
        of tensor: PyTorchTensor, _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result {
        try mapping.withBytes { file in
            guard let stored = storages[tensor.storage] else {
                throw FileError(mapping.path, "has no storage \(tensor.storage)")
            }
            let storage = UnsafeRawBufferPointer(rebasing: file[stored.range])
            try check(storage, stored.crc, key: tensor.storage)
            let size = tensor.type.byteCount
            if tensor.isContiguous, !isBigEndian || size == 1 {
                let start = tensor.count == 0 ? 0 : tensor.offset * size
                return try body(UnsafeRawBufferPointer(rebasing: storage[start..<start + tensor.count * size]))
            }
            var bytes = tensor.gathered(from: storage)
            if isBigEndian { reverse(&bytes, each: tensor.type == .C64 ? 4 : size) }
            return try bytes.withUnsafeBytes(body)
        }
    }

    private func check(_ storage: UnsafeRawBufferPointer, _ crc: UInt32?, key: String) throws {
        guard let crc, !checked.withLock({ $0.contains(key) }) else { return }
        guard czlib_crc32(0, storage.bindMemory(to: UInt8.self).baseAddress, storage.count) == crc else {
            throw FileError(
                mapping.path, "storage \(key) is damaged (wrong checksum)", remedy: "copy or download the file again")
        }
        checked.withLock { _ = $0.insert(key) }
    }

    /// Reverses the bytes of each number.
    private func reverse(_ bytes: inout [UInt8], each size: Int) {
        for start in stride(from: 0, to: bytes.count, by: size) { bytes[start..<start + size].reverse() }
    }
}

extension PyTorchTensor {
    /// Gathers the elements row by row.
    fileprivate func gathered(from storage: UnsafeRawBufferPointer) -> [UInt8] {
        let size = type.byteCount
        let total = count * size
        return [UInt8](unsafeUninitializedCapacity: total) { target, filled in
            filled = total
            guard total > 0 else { return }
            var place = [Int](repeating: 0, count: shape.count)
            var source = offset
            let target = UnsafeMutableRawBufferPointer(target)
            for position in stride(from: 0, to: total, by: size) {
                let element = UnsafeRawBufferPointer(rebasing: storage[source * size..<(source + 1) * size])
                UnsafeMutableRawBufferPointer(rebasing: target[position..<position + size]).copyMemory(from: element)
                for axis in place.indices.reversed() {
                    place[axis] += 1
                    source += strides[axis]
                    if place[axis] < shape[axis] { break }
                    source -= strides[axis] * shape[axis]
                    place[axis] = 0
                }
            }
        }
    }
}
