import Evaluation
import Formats
import Models
import TestSupport
import Testing
import Torch

@Suite struct EncoderTests {
    /// A DINOv2 of the published layout, but small; with 64 numbers in a head, as all published ones have.
    private func network(registers: Int) throws -> DINOv2 {
        let network = DINOv2(.init(depth: 2, width: 128, heads: 2, registers: registers, grid: 4), on: .cpu)
        try withErrors {
            for (index, entry) in network.parameters().enumerated() {
                let shape = entry.parameter.value.shape
                let values = Draws(seed: 1).normals(.initialise, step: 0, item: index, count: shape.reduce(1, *))
                entry.parameter.assign(Tensor(values.map { 0.1 * $0 }, shape: shape))
            }
        }
        return network
    }

    private let images = Tensor((0..<2 * 3 * 32 * 32).map { UInt8($0 % 251) }, shape: [2, 3, 32, 32])

    @Test(arguments: [0, 4], ["weights.safetensors", "weights.pth"])
    func dinov2IsKnownByItsWeights(registers: Int, name: String) throws {
        let network = try network(registers: registers)
        try withTemporaryFolder { folder in
            let path = folder + "/" + name
            let tensors = network.parameters().tensors.map { (name: $0.name, tensor: $0.tensor.detached()) }
            if name.hasSuffix(".pth") {
                try writeStateDict(tensors, to: path)
            } else {
                try SafetensorsFile.write(tensors, to: path)
            }
            let encoder = try openEncoder(path: path, grid: 3)
            #expect(encoder.identity.hasPrefix(name + " crc32:"))
            let expected = withoutGradients { network(PictureNormalisation.imageNet(side: 42)(images)) }
            #expect(expected.shape == [2, 9, 128])
            #expect(try encoder(images).doubles == expected.doubles)
            #expect(try encoder.shape(side: 32) == (9, 128))
        }
    }

    /// In the format of torch.save, as the published files are.
    private func writeStateDict(_ tensors: [(name: String, tensor: Tensor)], to path: String) throws {
        let layouts = tensors.map { TensorLayout(.F32, $0.tensor.shape) }
        let members = tensors.enumerated().map { ($1.name, PyTorchValue.tensor($0)) }
        try PyTorchFile.write(.named(members), tensors: layouts, to: path) { index, append in
            try tensors[index].tensor.withHostBytes(append)
        }
    }

    @Test func missingWeightsAreNamedWithTheirAddress() {
        let error = #expect(throws: FileError.self) {
            try openEncoder(path: "/nowhere/dinov2_vits14_reg4_pretrain.pth", grid: 16)
        }
        let text = error?.description ?? ""
        #expect(text.contains("https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_reg4_pretrain.pth"))
        #expect(text.contains("SHA-256 f433177089a681826f849f194ece3bb48f4d63fb38d32fc837e3dc7a4e5641fb"))
    }

    @Test func weightsOfOtherNetworksAreRefused() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/dinov2_vitb14_pretrain.pth"
            try SafetensorsFile.write([("blocks.0.ls1.gamma", Tensor([1] as [Float]))], to: path)
            let error = #expect(throws: FileError.self) { try openEncoder(path: path, grid: 16) }
            #expect(error?.description.contains("holds no DINOv2 of size S, B or L") == true)
        }
    }

    /// A program with a method `patches` is asked for that; one without for what it returns.
    @Test(arguments: ["patches", "forward"]) func programsGetBytesOrNormalisedNumbers(method: String) throws {
        // The mean of each quarter of a picture's first channel.
        let source = """
            def \(method)(self, x):
                y = torch.avg_pool2d(x.float(), [16, 16])
                return torch.transpose(torch.flatten(y[:, :1], 2), 1, 2)

            """
        try withTemporaryFolder { folder in
            let path = try folder.program(source)
            let plain = try openEncoder(path: path, grid: 0)
            let bytes = try plain(images)
            let quarters = images.to(.F64).sliced(0..<1, axis: 1).reshaped([2, 1, 2, 16, 2, 16]).mean([3, 5])
            #expect(bytes.shape == [2, 4, 1])
            expectClose(bytes.doubles, quarters.doubles, 1e-5)
            let normalisation = PictureNormalisation(mean: [0.5, 0, 0], deviation: [0.25, 1, 1])
            let normalising = try openEncoder(path: path, grid: 0, normalisation: normalisation)
            expectClose(try normalising(images).doubles, quarters.doubles.map { ($0 / 255 - 0.5) / 0.25 }, 1e-5)
            // Features of either are not to be taken for those of the other, though the file is one.
            let other = PictureNormalisation(mean: [0.5, 0, 0], deviation: [0.5, 1, 1])
            let identities = try [plain, normalising, openEncoder(path: path, grid: 0, normalisation: other)].map(
                \.identity)
            #expect(Set(identities).count == 3 && identities.allSatisfy { $0.hasPrefix("encoder.pt ") })
        }
    }

    @Test func programsThatReturnSomethingElseAreRefused() throws {
        try withTemporaryFolder { folder in
            let path = try folder.program("def forward(self, x):\n    return torch.mean(x.float(), [2, 3])\n")
            let encoder = try openEncoder(path: path, grid: 0)
            let error = #expect(throws: FileError.self) { try encoder(images) }
            #expect(error?.description.contains("returns [2, 3] for 2 images by its method forward") == true)
        }
    }
}

extension String {
    /// Writes a TorchScript module into this folder.
    fileprivate func program(_ source: String) throws -> String {
        let path = self + "/encoder.pt"
        let bytes = TorchScript.bytes(
            name: "Encoder", source: source, tensors: [(name: "unused", tensor: Tensor([0] as [Float]))])
        try AtomicFile.write(bytes, to: path)
        return path
    }
}
