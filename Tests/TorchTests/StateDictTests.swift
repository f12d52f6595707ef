import Formats
import TestSupport
import Testing
import Torch

/// A file's shapes and a network's, with what the error says.
private struct Mismatch: Sendable, CustomTestStringConvertible {
    let file: [String: [Int]]
    let network: [String: [Int]]
    var prefix = ""
    let problem: String

    var testDescription: String { problem }

    static let all = [
        Mismatch(file: ["a": [2]], network: ["a": [2], "b": [2], "c": [2]], problem: "missing: b, c"),
        Mismatch(file: ["a": [2], "y": [2], "x": [2]], network: ["a": [2]], problem: "unexpected: x, y"),
        Mismatch(
            file: ["a": [2, 1]], network: ["a": [1, 2]], problem: "of another shape: a is [2, 1] instead of [1, 2]"),
        Mismatch(
            file: ["a": [2], "c": [3], "d": [1]], network: ["a": [2], "b": [2], "c": [2]],
            problem: "missing: b; unexpected: d; of another shape: c is [3] instead of [2]"),
        Mismatch(
            file: ["ema.a": [3], "ema.x": [1], "model.a": [2]], network: ["a": [2], "b": [2]], prefix: "ema.",
            problem: "missing: ema.b; unexpected: ema.x; of another shape: ema.a is [3] instead of [2]"),
    ]
}

extension EngineTests {
    @Suite struct StateDictTests {
        private let folder: TemporaryFolder
        private var path: String { folder.path + "/weights.safetensors" }

        init() throws { folder = try TemporaryFolder() }

        private func write(_ tensors: [String: Tensor]) throws -> SafetensorsFile {
            try SafetensorsFile.write(tensors.map { ($0.key, $0.value) }, metadata: ["step": "7"], to: path)
            return try SafetensorsFile(path: path)
        }

        @Test func tensorsComeBackBitForBit() throws {
            let tensors: [String: Tensor] = [
                "f64": Tensor([0.1, -.infinity, .nan], shape: [3, 1]),
                "f32": Tensor(pattern(7)).to(.F32), "f16": Tensor(pattern(5)).to(.F16),
                "bf16": Tensor(pattern(3)).to(.BF16), "i64": Tensor([Int.min, .max]), "i32": Tensor([Int32.min, 5]),
                "u8": Tensor([0, 255] as [UInt8]), "bool": Tensor([0, 1] as [UInt8]).to(.BOOL),
                "scalar": Tensor([2.5], shape: []), "empty": .zeros([0, 4]),
                "transposed": Tensor(pattern(6), shape: [2, 3]).transposed(0, 1),
            ]
            let file = try write(tensors)
            #expect(file.metadata == ["step": "7"])
            #expect(Set(file.names) == Set(tensors.keys))
            for (name, tensor) in tensors {
                let read = try file.tensor(name)
                #expect(read.type == tensor.type && read.shape == tensor.shape, "\(name)")
                #expect(read.withHostBytes { [UInt8]($0) } == tensor.withHostBytes { [UInt8]($0) }, "\(name)")
            }
        }

        @Test func aNetworkComesBackUnderItsNames() throws {
            let (saved, loaded) = (Linear(3, 2, on: .cpu), Linear(3, 2, on: .cpu))
            saved.initialise(stage: "saved", seed: 0)
            loaded.initialise(stage: "loaded", seed: 0)
            try SafetensorsFile.write(saved.parameters(prefix: "model.").tensors, to: path)
            let file = try SafetensorsFile(path: path)
            #expect(Set(file.names) == ["model.weight", "model.bias"])
            try file.load(loaded.parameters().tensors, prefix: "model.")
            #expect(loaded.weight.value.doubles == saved.weight.value.doubles)
        }

        /// 1.5 and -2.25 are exact in all of them. Their bits, by `torch.tensor([1.5, -2.25]).half().view(torch.int16)`
        /// and the same with `.bfloat16()`: 15872, -16256 and 16320, -16368.
        @Test func otherElementTypesAreConverted() throws {
            func raw(_ bits: [Int16], _ type: ElementType) -> Tensor {
                bits.withUnsafeBytes { Tensor(copying: $0, type: type, shape: [2]) }
            }
            let file = try write([
                "half": raw([15872, -16256], .F16), "brain": raw([16320, -16368], .BF16),
                "double": Tensor([1.5, -2.25]),
                "integer": Tensor([3, -1 << 40]),
            ])
            let targets = ["half", "brain", "double", "integer"].map { (name: $0, tensor: Tensor.zeros([2])) }
            try file.load(targets)
            for target in targets.prefix(3) { #expect(target.tensor.doubles == [1.5, -2.25], "\(target.name)") }
            #expect(targets[3].tensor.doubles == [3, -1_099_511_627_776])
            #expect(targets.allSatisfy { $0.tensor.type == .F32 })
        }

        @Test(arguments: Mismatch.all)
        private func everyMismatchIsListedAndNothingIsChanged(mismatch: Mismatch) throws {
            let file = try write(mismatch.file.mapValues { .full($0, 1) })
            let targets = mismatch.network.map { (name: $0.key, tensor: Tensor.full($0.value, -1)) }
            let error = #expect(throws: FileError.self) { try file.load(targets, prefix: mismatch.prefix) }
            #expect(
                error?.description
                    == "\(path): does not hold this network: \(mismatch.problem); give a file of the same network")
            for target in targets { #expect(target.tensor.doubles.allSatisfy { $0 == -1 }, "\(target.name)") }
        }

        @Test func otherPrefixesAreLeftAlone() throws {
            let file = try write(["model.a": .full([2], 1), "ema.a": .full([2], 2), "other": .zeros([1])])
            let target = (name: "a", tensor: Tensor.zeros([2]))
            try file.load([target], prefix: "ema.")
            #expect(target.tensor.doubles == [2, 2])
        }

        @Test func aTensorThatIsNotThereIsNamed() throws {
            let file = try write(["a": .zeros([1])])
            let error = #expect(throws: FileError.self) { try file.tensor("b") }
            #expect(error?.description == "\(path): has no tensor \"b\"")
        }

        /// No elements, so that the file is whole, but steps between them that no integer holds.
        @Test func aShapeThatLibtorchRefusesIsAnErrorOfTheFile() throws {
            let side = 1 << 62
            let header = #"{"a":{"dtype":"F32","shape":[0,\#(side),\#(side)],"data_offsets":[0,0]}}"#
            let bytes = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { [UInt8]($0) } + header.utf8
            let file = try SafetensorsFile(path: folder.file("odd.safetensors", bytes))
            let error = #expect(throws: FileError.self) { try file.tensor("a") }
            #expect(error?.problem.hasPrefix("tensor \"a\" cannot be used: ") == true)
        }

        @Test func aTensorKeepsItsFileInMemory() throws {
            let tensor = try write(["a": Tensor([1.5, 2])]).tensor("a")
            #expect(tensor.doubles == [1.5, 2])
        }
    }
}
