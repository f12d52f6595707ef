import Formats
import TestSupport
import Testing

/// A file of the old format whose value is this pickle (without protocol and stop), with no storage, or one of four floats.
private func oldFile(_ body: [UInt8], hasStorage: Bool = false) -> [UInt8] {
    let mark: [UInt8] = [0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19]
    let version: [UInt8] = [0x80, 2, UInt8(ascii: "M"), 0xE9, 0x03]
    let keys = Array("]".utf8) + (hasStorage ? text("0") + "a".utf8 : [])
    let parts = [mark, version, [0x80, 2] + "}".utf8, [0x80, 2] + body, [0x80, 2] + keys]
    return parts.flatMap { $0 + ".".utf8 }
        + (hasStorage ? [4, 0, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 16) : [])
}

/// A text as a pickle spells it.
private func text(_ text: String) -> [UInt8] { [0x8C, UInt8(text.utf8.count)] + text.utf8 }

/// A tensor as PyTorch pickles it, in a storage of `count` elements.
private func tensor(
    _ shape: String, _ strides: String, count: UInt8 = 4, offset: UInt8 = 0, storage: String = "torch\nFloatStorage"
) -> [UInt8] {
    Array("ctorch._utils\n_rebuild_tensor_v2\n((".utf8) + text("storage") + "c\(storage)\n".utf8 + text("0")
        + text("cpu")
        + [0x4B, count] + "tQ".utf8 + [0x4B, offset]
        + "(\(shape)t(\(strides)t\u{89}}tR".unicodeScalars.map { UInt8($0.value) }
}

@Suite struct PyTorchTests {
    @Test(arguments: ["pytorch.pt", "pytorch-protocol5.pt", "pytorch-old.pt"])
    func everyTensorIsRead(name: String) throws {
        let tensors = try PyTorchTensors(PyTorchFile(path: fixture(name)))
        let expected = try SafetensorsFile(path: fixture("pytorch.safetensors"))
        // The old format has no types that came later.
        let names = expected.names.filter { name != "pytorch-old.pt" || !$0.hasPrefix("new.") }
        #expect(Set(tensors.names) == Set(names))
        for name in names {
            #expect(tensors.layout(of: name) == expected.layout(of: name), "\(name)")
            let bytes = try tensors.withBytes(of: name) { [UInt8]($0) }
            #expect(try bytes == expected.withBytes(of: name) { [UInt8]($0) }, "\(name)")
        }
    }

    @Test func numbersOfBigEndianMachinesAreTurnedAround() throws {
        let tensors = try PyTorchTensors(PyTorchFile(path: fixture("pytorch-big.pt")))
        let expected = try SafetensorsFile(path: fixture("pytorch-big.safetensors"))
        #expect(Set(tensors.names) == ["a", "b", "c"])
        for name in tensors.names {
            let bytes = try tensors.withBytes(of: name) { [UInt8]($0) }
            #expect(try bytes == expected.withBytes(of: name) { [UInt8]($0) }, "\(name)")
        }
    }

    @Test func filesWithoutChecksumsAreRead() throws {
        let tensors = try PyTorchTensors(PyTorchFile(path: fixture("pytorch-unchecked.pt")))
        #expect(tensors.layout(of: "a") == TensorLayout(.F32, [24]))
    }

    @Test func otherValuesAreKeptAsPlainData() throws {
        let root = try PyTorchFile(path: fixture("pytorch.pt")).root
        #expect(root["steps"]?.int == 123 && root["negative"]?.int == -(1 << 40))
        #expect(root["huge"]?.int == nil && root["huge"]?.kind == "an integer")
        #expect(root["args"]?.className == "argparse.Namespace")
        #expect(root["args"]?["model"]?.string == "SiT-B/2" && root["args"]?["rate"]?.double == 1e-4)
        #expect(root["args"]?["flags"]?.elements?.map(\.bool) == [true, false])
        #expect(root["args"]?["nested"]?.members?.map(\.key.int) == [1])
        #expect(root["missing"] == nil)
    }

    @Test func aPartOfAFileHasItsOwnNames() throws {
        let file = try PyTorchFile(path: fixture("pytorch.pt"))
        let tensors = try PyTorchTensors(file, below: file.root["module"])
        #expect(tensors.names == ["0.weight", "0.bias", "1.weight", "1.bias"])
    }

    @Test func nothingIsExecuted() throws {
        let folder = try TemporaryFolder()
        let command = oldFile(Array("cos\nsystem\n".utf8) + text("touch \(folder.path)/made") + [0x85] + "R".utf8)
        let file = try PyTorchFile(path: folder.file("command.pt", command))
        #expect(file.root.className == "os.system")
        #expect(try folder.names == ["command.pt"])
    }

    /// The old format and that without checksums let damage through to what describes the tensors.
    @Test(arguments: ["pytorch-big.pt", "pytorch-unchecked.pt", "pytorch-old.pt"])
    func damagedFilesAreErrors(name: String) throws {
        try checkDamage(of: name) { path in
            let tensors = try PyTorchTensors(PyTorchFile(path: path))
            for name in tensors.names { try tensors.withBytes(of: name) { _ in } }
        }
    }

    @Test(arguments: [
        (Array("0".utf8), "takes more values than there are"),
        (Array("e".utf8), "has no mark where one is needed"),
        (Array("(Nd".utf8), "has a key without its value"),
        (Array("NNa".utf8), "adds to a value that holds no others"),
        (Array("h\u{5}".utf8), "recalls a value that it has not stored"),
        ([0x82, 1], "holds the operation 0x82, which is not read"),
        ([0x80, 6], "has protocol 6, not 2 to 5"),
        ([0x8D] + [UInt8](repeating: 0xFF, count: 8), "ends too early"),
        (Array("]q\u{0}h\u{0}a".utf8), "too many or nested too deeply"),
        (tensor("K\u{4}", "K\u{1}"), "tensor \"\" has no storage in the file"),
        (tensor("K\u{5}", "K\u{1}"), "does not lie within its storage"),
        (tensor("K\u{4}", "K\u{1}", offset: 1), "does not lie within its storage"),
        (tensor("K\u{4}", "J\u{7F}\u{7F}\u{7F}\u{7F}"), "does not lie within its storage"),
        (
            tensor("J\u{7F}\u{7F}\u{7F}\u{7F}J\u{7F}\u{7F}\u{7F}\u{7F}", "K\u{0}K\u{0}"),
            "repeats its elements too often"
        ),
        (tensor("K\u{4}", "K\u{1}K\u{1}"), "should be"),
        (tensor("K\u{4}", "K\u{1}", storage: "torch\nQInt8Storage"), "in a torch.QInt8Storage, which is not read"),
        (
            Array("ctorch._utils\n_rebuild_sparse_tensor\n)R".utf8),
            "of a kind that is not read (torch._utils._rebuild_sparse_tensor)"
        ),
    ])
    func whatCannotBeReadIsNamed(body: [UInt8], problem: String) throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("odd.pt", oldFile(body))
        let error = #expect(throws: FileError.self) { try PyTorchTensors(PyTorchFile(path: path)) }
        #expect(error?.description.contains(problem) == true, "\(error?.description ?? "")")
    }

    /// What PyTorch writes of one is whatever its view had; these would overflow.
    @Test(arguments: [
        ("K\u{0}K\u{5}", "K\u{1}\u{8A}\u{8}\u{FF}\u{FF}\u{FF}\u{FF}\u{FF}\u{FF}\u{FF}\u{7F}", [0, 5]),
        (
            "K\u{0}\u{8A}\u{6}\u{0}\u{0}\u{0}\u{0}\u{0}\u{1}\u{8A}\u{6}\u{0}\u{0}\u{0}\u{0}\u{0}\u{1}",
            "K\u{1}\u{8A}\u{6}\u{0}\u{0}\u{0}\u{0}\u{0}\u{1}K\u{1}", [0, 1 << 40, 1 << 40]
        ),
    ])
    func anEmptyTensorMayHaveAnyStrides(sides: String, strides: String, shape: [Int]) throws {
        let folder = try TemporaryFolder()
        let body = Array("]".utf8) + tensor(sides, strides) + "a".utf8
        let path = try folder.file("empty.pt", oldFile(body, hasStorage: true))
        let tensors = try PyTorchTensors(PyTorchFile(path: path))
        #expect(tensors.layout(of: "0")?.shape == shape)
        #expect(try tensors.withBytes(of: "0") { $0.count } == 0)
    }

    /// Nine lists that each hold the one before ten times are a billion values.
    @Test func sharedValuesDoNotMultiply() throws {
        let folder = try TemporaryFolder()
        let levels = (1...9).flatMap { level -> [UInt8] in
            Array("](".utf8) + (0..<10).flatMap { _ in [0x68, UInt8(level - 1)] } + [0x65, 0x71, UInt8(level)]
        }
        let path = try folder.file("laughs.pt", oldFile(Array("]q\u{0}".utf8) + levels))
        let file = try PyTorchFile(path: path)
        let error = #expect(throws: FileError.self) { try PyTorchTensors(file) }
        #expect(error?.problem == "holds values that are too many or nested too deeply")
    }

    @Test func otherFilesAreNamed() throws {
        let folder = try TemporaryFolder()
        for (name, bytes, problem) in [
            ("a.pt", try contents(fixture("python.zip")), "but not one of torch.save (it has no data.pkl)"),
            ("b.pt", Array("nothing".utf8), "is not a file of torch.save"),
            ("c.pt", [], "is not a file of torch.save"),
        ] {
            let path = try folder.file(name, bytes)
            let error = #expect(throws: FileError.self) { try PyTorchFile(path: path) }
            #expect(error?.problem.contains(problem) == true)
        }
    }
}

@Suite struct PyTorchWriterTests {
    @Test func writtenFilesAreReadBackEqual() throws {
        let source = try SafetensorsFile(path: fixture("pytorch.safetensors"))
        let folder = try TemporaryFolder()
        let layouts = source.names.compactMap { source.layout(of: $0) }
        let value = PyTorchValue.named([
            ("tensors", .named(source.names.enumerated().map { ($0.element, .tensor($0.offset)) })),
            ("steps", .int(1 << 40)), ("rate", .double(1e-4)), ("nothing", .none),
            ("pair", .tuple([.bool(true), .int(-7)])), ("list", .list([.string("größe")])),
        ])
        var written: [[UInt8]] = []
        for name in ["one.pt", "two.pt"] {
            try PyTorchFile.write(value, tensors: layouts, to: folder.path + "/" + name) { index, append in
                try source.withBytes(of: source.names[index], append)
            }
            written.append(try contents(folder.path + "/" + name))
        }
        #expect(written[0] == written[1])

        let file = try PyTorchFile(path: folder.path + "/one.pt")
        #expect(file.root["steps"]?.int == 1 << 40 && file.root["rate"]?.double == 1e-4)
        #expect(file.root["pair"]?.elements?.last?.int == -7 && file.root["list"]?.elements?.first?.string == "größe")
        let tensors = try PyTorchTensors(file, below: file.root["tensors"])
        #expect(tensors.names == source.names)
        for name in tensors.names {
            #expect(tensors.layout(of: name) == source.layout(of: name))
            let bytes = try tensors.withBytes(of: name) { [UInt8]($0) }
            #expect(try bytes == source.withBytes(of: name) { [UInt8]($0) }, "\(name)")
        }
    }
}
