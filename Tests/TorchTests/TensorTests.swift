import Formats
import TestSupport
import Testing
import Torch

extension EngineTests {
    @Suite struct TensorTests {
        /// Powers of two and their sums, so that float32 has no rounding here.
        @Test func arithmeticIsElementByElement() {
            let a = Tensor([1, 2, -4, 8] as [Float])
            let b = Tensor([2, 4, 0.5, -1] as [Float])
            #expect((a + b).doubles == [3, 6, -3.5, 7])
            #expect((a - b).doubles == [-1, -2, -4.5, 9])
            #expect((a * b).doubles == [2, 8, -2, -8])
            #expect((a / b).doubles == [0.5, 0.5, -8, -8])
            #expect((-a).doubles == [-1, -2, 4, -8])
            #expect((a + 1).doubles == [2, 3, -3, 9])
            #expect((1 + a).doubles == [2, 3, -3, 9])
            #expect((a - 1).doubles == [0, 1, -5, 7])
            #expect((1 - a).doubles == [0, -1, 5, -7])
            #expect((a * 2).doubles == [2, 4, -8, 16])
            #expect((2 * a).doubles == [2, 4, -8, 16])
            #expect((a / 2).doubles == [0.5, 1, -2, 4])
            #expect((8 / a).doubles == [8, 4, -2, 1])
            #expect(a.square().doubles == [1, 4, 16, 64])
            #expect(Tensor([4, 0.25] as [Float]).squareRoot().doubles == [2, 0.5])
            #expect(a.abs().doubles == [1, 2, 4, 8])
        }

        @Test func lengthsOfOneAreRepeated() {
            let column = Tensor([10, 20] as [Float], shape: [2, 1])
            let row = Tensor([1, 2, 3] as [Float])
            #expect((column + row).shape == [2, 3])
            #expect((column + row).doubles == [11, 12, 13, 21, 22, 23])
        }

        @Test func sumsMeansAndNorms() {
            let x = Tensor([1, 2, 3, 4, 5, 6] as [Double], shape: [2, 3])
            #expect(x.sum().item() == 21)
            #expect(x.sum([0]).doubles == [5, 7, 9])
            #expect(x.sum([1], keepAxes: true).shape == [2, 1])
            #expect(x.mean().item() == 3.5)
            #expect(x.mean([1]).doubles == [2, 5])
            #expect(x.reshaped([2, 3, 1, 1]).meanPerSample().doubles == [2, 5])
            #expect(x.maximum().item() == 6)
            #expect(Tensor([3, 4] as [Double]).norm().item() == 5)
        }

        @Test func aProductOfMatricesGoesOverTheLeadingAxes() {
            let a = Tensor([1, 2, 3, 4, 0, 1, 1, 0] as [Double], shape: [2, 2, 2])
            let b = Tensor([1, 2, 3, 4] as [Double], shape: [2, 2])
            #expect(a.matmul(b).doubles == [7, 10, 15, 22, 3, 4, 1, 2])
        }

        @Test func shapesChangeAndElementsStay() {
            let x = Tensor.range(24, .I64).reshaped([2, 3, -1])
            #expect(x.shape == [2, 3, 4] && x.rank == 3 && x.count == 24 && x.size(-1) == 4)
            #expect(x.flattened(from: 1).shape == [2, 12])
            #expect(x.flattened(to: 1).shape == [6, 4])
            #expect(x.transposed(1, 2).shape == [2, 4, 3])
            #expect(x.transposed(1, 2).values(as: Int.self).prefix(5) == [0, 4, 8, 1, 5])
            #expect(x.permuted([2, 0, 1]).shape == [4, 2, 3])
            #expect(x.permuted([2, 0, 1]).values(as: Int.self).prefix(7) == [0, 4, 8, 12, 16, 20, 1])
            #expect(x.expandingAxis(1).shape == [2, 1, 3, 4])
            #expect(x[1].values(as: Int.self) == Array(12..<24))
            #expect(x[1..<2].shape == [1, 3, 4])
            #expect(x.sliced(1..<3, axis: 2)[0].values(as: Int.self) == [1, 2, 5, 6, 9, 10])
        }

        @Test func partsAreTakenAndJoined() {
            let x = Tensor.range(12, .I32).reshaped([4, 3])
            #expect(x.gathering(Tensor([3, 0, 3])).values(as: Int.self) == [9, 10, 11, 0, 1, 2, 9, 10, 11])
            #expect(x.gathering(Tensor([Int]())).shape == [0, 3])
            let halves = x.chunked(2, axis: 0)
            #expect(halves.map(\.shape) == [[2, 3], [2, 3]])
            #expect(Tensor.concatenate(halves).values(as: Int32.self) == Array(0..<12))
            #expect(Tensor.concatenate([halves[0], halves[1]], axis: 1).shape == [2, 6])
            #expect(Tensor.stack(halves, axis: 1).shape == [2, 2, 3])
            #expect(Tensor.stack(halves, axis: 1)[0].values(as: Int.self) == [0, 1, 2, 6, 7, 8])
        }

        @Test func elementsAreConverted() {
            let x = Tensor([-1.75, 0, 2.5, 300] as [Float])
            #expect(x.to(.I32).values(as: Int32.self) == [-1, 0, 2, 300])
            #expect(x.to(.I64).type == .I64)
            #expect(x.to(.F64).doubles == [-1.75, 0, 2.5, 300])
            #expect(x.to(.BOOL).doubles == [1, 0, 1, 1])
            // 2049 lies between two neighbours in float16 (11 bits), 257 in bfloat16 (8 bits); ties go to even.
            #expect(Tensor([2049] as [Float]).to(.F16).item() == 2048)
            #expect(Tensor([257] as [Float]).to(.BF16).item() == 256)
        }

        @Test(arguments: ElementType.allCases)
        func bytesOfEveryTypeComeBack(type: ElementType) {
            // Bytes 0 and 1 are values of every type, booleans included.
            let bytes = (0..<6 * type.byteCount).map { UInt8($0 % 2) }
            let tensor = bytes.withUnsafeBytes { Tensor(copying: $0, type: type, shape: [3, 2]) }
            #expect(tensor.type == type)
            #expect(tensor.withHostBytes { [UInt8]($0) } == bytes)
            #expect(Tensor.zeros([0, 2], type).withHostBytes { $0.count } == 0)
        }

        @Test func valuesOfTheHostComeBack() {
            #expect(Tensor([1.5, -2] as [Float]).values() == [1.5, -2] as [Float])
            #expect(Tensor([0.1, -2]).values() == [0.1, -2])
            #expect(Tensor([.min, 7] as [Int64]).values() == [.min, 7] as [Int64])
            #expect(Tensor([.min, 7] as [Int32]).values() == [.min, 7] as [Int32])
            #expect(Tensor([255, 7] as [UInt8]).values() == [255, 7] as [UInt8])
            // Row by row, whatever the order in memory.
            #expect(Tensor([1, 2, 3, 4], shape: [2, 2]).transposed(0, 1).values() == [1, 3, 2, 4])
        }

        @Test func assigningChangesEveryHandleOfTheStorage() {
            var x = Tensor.zeros([2, 2])
            let same = x
            let copy = x.copied()
            x.assign(Tensor([1, 2] as [Double]))
            #expect(same.doubles == [1, 2, 1, 2])
            #expect(copy.doubles == [0, 0, 0, 0])
        }

        @Test func whatIsNotFiniteIsSeen() {
            #expect(Tensor([1, -2] as [Float]).isFinite)
            #expect(!Tensor([1, .infinity] as [Float]).isFinite)
            #expect(!Tensor([.nan, 1] as [Float]).isFinite)
        }

        @Test(arguments: [
            ("cpu", "cpu"), ("cuda", "cuda:0"), ("cuda:3", "cuda:3"), ("cuda:-1", nil), ("cuda:x", nil), ("cuda:", nil),
            ("cuda:0:1", nil), ("cpu:0", nil), ("gpu", nil), ("", nil), ("meta", nil),
        ])
        func devicesAreReadByName(name: String, device: String?) { #expect(Device(name)?.description == device) }

        @Test func shapesWithoutStorageTakeNoMemory() {
            let x = Tensor.zeros([1 << 20, 1 << 20], on: .meta)
            #expect((x + x).shape == [1 << 20, 1 << 20])
            #expect((x + x).device == .meta)
        }

        /// In training batch norm takes mean and variance of the batch, and moves the stored ones by the momentum; the stored variance
        /// is that of N - 1.
        @Test func batchNormInTrainingUsesAndKeepsTheStatisticsOfTheBatch() {
            let x = Tensor([1, 2, 3, 6, 10, 20, 30, 60] as [Float], shape: [2, 2, 1, 2])
            let (mean, variance) = (Tensor([0, 0] as [Float]), Tensor([1, 1] as [Float]))
            let y = x.batchNormalized(
                Tensor([1, 2] as [Float]), Tensor([0, 1] as [Float]), mean: mean, variance: variance, epsilon: 0,
                momentum: 0.1)
            // The first channel holds 1, 2, 10, 20: mean 8.25, squares 58.1875 and, over 3, 77.583.
            #expect(abs(y[0].values(as: Float.self)[0] - (1 - 8.25) / Float(58.1875).squareRoot()) < 1e-5)
            #expect(abs(mean.values(as: Float.self)[0] - 0.825) < 1e-6)
            #expect(abs(variance.values(as: Float.self)[0] - (0.9 + 0.1 * 232.75 / 3)) < 1e-5)
        }
    }
}
