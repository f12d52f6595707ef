import Formats

/// Transfers parameters of modules from files of tensors.
extension NamedTensors {
    /// The tensor with this name, on the CPU. It reads the mapped file in place if the elements are in order and
    /// aligned there.
    public func tensor(_ name: String) throws -> Tensor {
        guard let entry = layout(of: name), let mapping = mapping(of: name) else {
            throw FileError(path, "has no tensor \"\(name)\"")
        }
        return try withBytes(of: name) { bytes in
            let isAligned = Int(bitPattern: bytes.baseAddress) % entry.type.byteCount == 0
            let isMapped = bytes.baseAddress.map { mapping.bytes.contains(address: $0) } ?? false
            return try using(name) {
                isAligned && isMapped
                    ? Tensor(viewing: bytes, type: entry.type, shape: entry.shape, owner: mapping)
                    : Tensor(copying: bytes, type: entry.type, shape: entry.shape)
            }
        }
    }

    /// Runs `body` on a tensor of the file; a failure in it becomes an error of the file.
    private func using<Result>(_ name: String, _ body: () -> Result) throws -> Result {
        do {
            return try withErrors(body)
        } catch let error as TorchError {
            throw FileError(path, "tensor \"\(name)\" cannot be used: \(error)")
        }
    }

    /// Overwrites tensors with those of the file under `prefix` + their name.
    ///
    /// Strict: all names that are missing, left over below the prefix, or of another shape are listed in one error, and
    /// then nothing is changed.
    public func load(_ targets: [(name: String, tensor: Tensor)], prefix: String = "") throws {
        let wanted = Set(targets.map { prefix + $0.name })
        let missing = wanted.subtracting(names).sorted()
        let unexpected = names.filter { $0.hasPrefix(prefix) && !wanted.contains($0) }
        let misshapen = targets.compactMap { name, tensor -> String? in
            guard let entry = layout(of: prefix + name), entry.shape != tensor.shape else { return nil }
            return "\(prefix + name) is \(entry.shape) instead of \(tensor.shape)"
        }
        let problems = [("missing", missing), ("unexpected", unexpected), ("of another shape", misshapen)]
            .filter { !$0.1.isEmpty }.map { "\($0.0): \($0.1.joined(separator: ", "))" }
        guard problems.isEmpty else {
            throw FileError(
                path, "does not hold this network: " + problems.joined(separator: "; "),
                remedy: "give a file of the same network")
        }
        for (name, tensor) in targets {
            var target = tensor
            let source = try self.tensor(prefix + name)
            try using(prefix + name) { target.assign(source) }
        }
    }
}

extension SafetensorsFile {
    /// Writes tensors under their names; the file appears when it is complete. Returns its checksum.
    @discardableResult
    public static func write(
        _ tensors: [(name: String, tensor: Tensor)], metadata: [String: String] = [:], to path: String
    ) throws -> Checksum {
        try write(
            to: path, metadata: metadata, tensors: tensors.map { Description($0.name, $0.tensor.type, $0.tensor.shape) }
        ) { index, writer in
            try tensors[index].tensor.withHostBytes { try writer.write($0) }
        }
    }
}

extension UnsafeRawBufferPointer {
    /// Whether an address lies in these bytes, or at their end.
    fileprivate func contains(address: UnsafeRawPointer) -> Bool {
        guard let baseAddress else { return false }
        return baseAddress <= address && address <= baseAddress + count
    }
}

extension [NamedParameter] {
    /// The names and values, to be written to files.
    public var tensors: [(name: String, tensor: Tensor)] { map { ($0.name, $0.parameter.value.detached()) } }
}
