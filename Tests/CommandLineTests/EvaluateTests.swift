import Data
import Formats
import Foundation
import TestSupport
import Testing

@Suite struct EvaluateTests {
    private func evaluate(_ samples: String, _ more: [String], in folder: String) throws -> Ended {
        try transcend(["evaluate", "--samples", samples, "--extractor", fixture("colours.pt")] + more, in: folder)
    }

    private func numbers(_ ended: Ended) throws -> [String: Double] {
        let members = try #require(try JSONValue(parsing: ended.output).members)
        return Dictionary(
            uniqueKeysWithValues: members.compactMap { member in member.value.double.map { (member.key, $0) } })
    }

    /// The same pictures as a folder, an array and a store, and a reference of their statistics.
    @Test func theSamePicturesHaveTheSameNumbersInEveryForm() throws {
        try withTemporaryFolder { folder in
            try writeImages(40, in: folder)
            let pictures = Pictures(side: 28)
            let array = try NpzWriter(path: folder + "/array.npz")
            try array.beginArray(itemShape: [28, 28, 3])
            for index in 100..<130 { try array.append(pictures.image(index).pixels) }
            try array.finish()
            let prepare = ["prepare", "--data", "images", "--mode", "pixels", "--resolution", "28", "--out", "store"]
            #expect(try transcend(prepare, in: folder).status == 0)
            let made = try evaluate("images", ["--make-reference", "reference.npz"], in: folder)
            #expect(made.status == 0, "\(made.errors)")

            // Red in the upper right quarter, then in the lower left one.
            let mean = try #require(NumpyFile.readArchive(path: folder + "/reference.npz")["mu"]).elements(
                as: Double.self)
            for (index, left, top) in [(1, 14, 0), (2, 0, 14)] {
                let reds = (0..<40).flatMap { number in
                    (0..<196).map { Double(pictures.image(number).pixels[3 * ((top + $0 / 14) * 28 + left + $0 % 14)]) }
                }
                #expect(abs(mean[index] - reds.reduce(0, +) / Double(reds.count) / 255) < 1e-6)
            }

            let results = try ["images", "store", "reference.npz"].map { reference in
                let ended = try evaluate("array.npz", ["--reference", reference, "--json"], in: folder)
                #expect(ended.status == 0 && ended.errors.contains("of 30 pictures"), "\(ended.errors)")
                return try numbers(ended)
            }
            for name in ["frechet_distance", "inception_score", "precision", "recall"] {
                let values = try results.map { try #require($0[name]) }
                // The order of the pictures differs, and so the rounding.
                #expect(values.allSatisfy { abs($0 - values[0]) < 1e-9 }, "\(name): \(values)")
            }
            #expect(try #require(results[0]["frechet_distance"]) > 1e-3)
            let same = try evaluate("images", ["--reference", "reference.npz", "--json"], in: folder)
            #expect(try #require(numbers(same)["frechet_distance"]) < 1e-9)
            #expect(try numbers(same)["precision"] == 1)
            #expect(same.errors.contains("reference  40/40 "), "\(same.errors)")
            #expect(!same.errors.contains("images: its pictures have"), "\(same.errors)")
        }
    }

    @Test func picturesOfTwoSizesAreComparedWithAWarning() throws {
        try withTemporaryFolder { folder in
            try writeImages(8, side: 24, in: folder)
            #expect(try evaluate("images", ["--make-reference", "small.npz"], in: folder).status == 0)
            try writeImages(8, side: 28, in: folder)
            let ended = try evaluate("images", ["--reference", "small.npz"], in: folder)
            let warning =
                "warning: images: its pictures have 28 x 28 pixels, those of small.npz 24 x 24, and that alone makes "
                + "them differ; compare pictures of one size"
            #expect(ended.status == 0 && ended.errors.contains(warning), "\(ended.errors)")
            #expect(ended.output.contains("Fréchet distance"))
        }
    }

    @Test func aReferenceOfAnotherExtractorIsRefused() throws {
        try withTemporaryFolder { folder in
            try writeImages(8, in: folder)
            #expect(try evaluate("images", ["--make-reference", "reference.npz"], in: folder).status == 0)
            var bytes = try Data(contentsOf: URL(fileURLWithPath: fixture("colours.pt")))
            bytes.append(0)  // a ZIP archive with one byte more behind its end
            try bytes.write(to: URL(fileURLWithPath: folder + "/other.pt"))
            let ended = try transcend(
                ["evaluate", "--samples", "images", "--reference", "reference.npz", "--extractor", "other.pt"],
                in: folder)
            #expect(ended.status == 1)
            #expect(ended.errors.contains("was made by the extractor colours.pt crc32:"), "\(ended.errors)")
        }
    }
}
