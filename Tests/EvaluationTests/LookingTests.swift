import Data
import Evaluation
import Formats
import Foundation
import Models
import TestSupport
import Testing
import Torch

@Suite struct LookingTests {
    /// Features that vary along three known directions, most along the first: red, green and blue are places along them.
    @Test func coloursArePlacesAlongTheLargestComponents() {
        let draws = Draws(seed: 3)
        let normals = draws.normals(.noise, step: 0, item: 0, count: 3 * 5000).map(Double.init)
        let spreads = [4.0, 2, 1]
        let features = (0..<5000).flatMap { row in
            // The components lie on axes 4, 1 and 2 of five; axis 4 backwards.
            let z = (0..<3).map { normals[3 * row + $0] * spreads[$0] }
            return [0, z[1], z[2], 0, -z[0]]
        }
        let group = Tensor(features, shape: [5000, 5])
        let colours = PrincipalColours(of: [group]).bytes(group)
        for component in 0..<3 {
            let places = (0..<5000).map { normals[3 * $0 + component] }
            let bytes = (0..<5000).map { Double(colours[3 * $0 + component]) }
            // Each colour spans 2.5 deviations to each side; the sign is that of the component's largest entry.
            let sign = component == 0 ? -1.0 : 1
            for (place, byte) in zip(places, bytes) {
                #expect(abs(min(255, max(0, 255 * (sign * place / 5 + 0.5))) - byte) < 10, "\(component)")
            }
        }
        // Neither the size nor the middle of a group matters.
        let moved = 1000 * group + 7
        #expect(
            PrincipalColours(of: [group, moved]).bytes(moved) == PrincipalColours(of: [group, moved]).bytes(group))
    }

    /// Against the normal equations, solved by elimination.
    @Test func aProbeIsTheRidgeRegression() {
        let draws = Draws(seed: 5)
        let (count, size, classes) = (40, 3, 3)
        let x = draws.normals(.noise, step: 0, item: 0, count: count * size).map { Double($0) * 3 + 1 }
        let labels = (0..<count).map { row in x[row * size] > 2 ? 0 : x[row * size + 1] > 1 ? 1 : 2 }
        let probe = LinearProbe(Tensor(x, shape: [count, size]), labels: labels, classes: classes)
        let scores: [Double] = probe.scores(Tensor(x, shape: [count, size])).values()

        func column(_ axis: Int) -> [Double] { (0..<count).map { x[$0 * size + axis] } }
        let standard = (0..<size).map { axis -> [Double] in
            let mean = column(axis).reduce(0, +) / Double(count)
            let deviation = (column(axis).map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Double(count)).squareRoot()
            return column(axis).map { ($0 - mean) / deviation }
        }
        for label in 0..<classes {
            let share = Double(labels.count { $0 == label }) / Double(count)
            let target = labels.map { ($0 == label ? 1 : 0) - share }
            func mean(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).map(*).reduce(0, +) / Double(count) }
            var rows = (0..<size).map { i in
                (0..<size).map { mean(standard[i], standard[$0]) + (i == $0 ? LinearProbe.ridge : 0) }
                    + [mean(standard[i], target)]
            }
            for pivot in 0..<size {
                rows[pivot] = rows[pivot].map { $0 / rows[pivot][pivot] }
                for other in 0..<size where other != pivot {
                    rows[other] = zip(rows[other], rows[pivot]).map { $0 - rows[other][pivot] * $1 }
                }
            }
            for row in 0..<count {
                let expected = (0..<size).map { rows[$0][size] * standard[$0][row] }.reduce(share, +)
                #expect(abs(scores[row * classes + label] - expected) < 1e-9)
            }
        }
        #expect(probe.accuracy(Tensor(x, shape: [count, size]), labels: labels) > 0.7)
    }

    /// Fitted for seconds, the network knows most of the embedded pictures, and the file says what the network does.
    @Test func aFittedExtractorIsWhatItsFileSays() throws {
        let pictures = Pictures(side: 24, count: 600)
        let fit = try ExtractorFit(pictures, steps: 30, batch: 64)
        #expect(fit.pictures.fitted == 540 && fit.pictures.heldOut == 60)
        #expect(fit.accuracy > 0.5, "chance is 0.1")
        let again = try ExtractorFit(pictures, steps: 30, batch: 64)
        #expect(again.accuracy == fit.accuracy)
        for (one, other) in zip(fit.network.parameters(), again.network.parameters()) {
            let isSame = one.parameter.value.doubles == other.parameter.value.doubles
            #expect(isSame, "\(one.name)")
        }

        try withTemporaryFolder { folder in
            let path = folder + "/extractor.pt"
            try AtomicFile.write(to: path) { try $0.write(fit.bytes()) }
            let bytes = Tensor((0..<2).flatMap { pictures.image($0).pixels }, shape: [2, 24, 24, 3])
                .permuted([0, 3, 1, 2]).contiguous()
            let result = try TorchScriptExtractor(path: path)(bytes)
            #expect(result.features.shape == [2, 128])
            let expected = withoutGradients { fit.network(bytes.to(.F32) / 127.5 - 1) }
            let difference = try #require(result.logits) - expected
            #expect(difference.abs().maximum().item() < 1e-4 * expected.abs().maximum().item())
            // The features are the mean of those of the places.
            let patches = try TorchScript(path: path)(bytes, method: "patches")[0]
            #expect(patches.shape == [2, 9, 128])
            #expect((patches.mean([1]) - result.features).abs().maximum().item() < 1e-5)
            // Another size is brought to that of the network.
            let large = try TorchScriptExtractor(path: path)(bytes.repeated(2))
            #expect(large.features.shape == [2, 128])
            #expect((large.features - result.features).norm().item() < 0.2 * result.features.norm().item())
        }
    }

    @Test func picturesWithoutClassesMakeNoExtractor() throws {
        #expect(throws: EvaluationError.self) { try ExtractorFit(Pictures(side: 24, count: 50), steps: 1) }
    }
}
