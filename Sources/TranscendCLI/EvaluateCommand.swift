import ArgumentParser
import Evaluation
import Formats
import Foundation
import Transcend

struct EvaluateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate",
        abstract: "Measure samples against a reference: Fréchet distance, Inception Score, precision, recall.",
        usage: """
            transcend evaluate --samples <path> --reference <path> [--extractor <file>] [--json]
            transcend evaluate --make-reference <file> --samples <path> [--extractor <file>]
            """,
        discussion: """
            Samples and reference are a .npz file (arr_0: uint8 [N, H, W, 3]), a store of pixels, or a folder, ZIP or tar of
            images; the reference may also be a .npz file with mu and sigma, as --make-reference and ADM write them. With
            the Inception network of 2015 the distances are FID and sFID. A program of TorchScript is executed: name only
            files that you trust.
            """)

    @Option(help: ArgumentHelp("The pictures that are measured.", valueName: "path"))
    var samples: String
    @Option(help: ArgumentHelp("What they are measured against.", valueName: "path"))
    var reference: String?
    @Option(
        help: ArgumentHelp(
            "Weights of Inception, or TorchScript: bytes [N, 3, H, W] to features [N, D] or (features, logits). (default: \(InceptionExtractor.fileName) in the cache folder)",
            valueName: "file"))
    var extractor: String?
    @Option(help: ArgumentHelp("Write the statistics of the samples to NAME.npz instead.", valueName: "file"))
    var makeReference: String?
    @Flag(help: "Print one line of JSON.")
    var json = false

    func run() throws {
        guard (reference == nil) != (makeReference == nil) else {
            throw ConfigurationError("--reference: give it, or --make-reference, and not both")
        }
        if let makeReference, !makeReference.hasSuffix(".npz") {
            throw ConfigurationError("--make-reference \(makeReference): give the name of a .npz file")
        }
        let network = try openExtractor(path: extractor.map(absolute) ?? Self.inceptionPath)
        let pictures = try openPictures(path: absolute(samples))
        if let makeReference {
            let path = try absolute(makeReference)
            try StatisticsFile.write(measure(pictures, by: network), of: pictures, to: path)
            return print(path)
        }
        let against = try measureReference(absolute(reference!), by: network)
        let result = try EvaluationResult(
            measure(pictures, by: network), from: samples, reference: against, from: reference!)
        for warning in result.warnings { say("warning: \(warning)") }
        if json { return print(result.json.text()) }
        var table = Table(.text(""), .text(""))
        for (name, value) in result.values {
            table.append(name.replacing("_", with: " "), String(format: "%.4f", value))
        }
        table.append("extractor", result.extractor)
        table.append("samples", "\(result.sampleCount) of \(result.samples)")
        table.append("reference", (result.referenceCount.map { "\($0) of " } ?? "") + result.reference)
        print(table)
    }

    /// Where the weights are looked for unless a file is named.
    private static var inceptionPath: String {
        let environment = ProcessInfo.processInfo.environment
        let cache = environment["XDG_CACHE_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil }
        return (cache ?? NSHomeDirectory() + "/.cache") + "/transcend/" + InceptionExtractor.fileName
    }

    private func measureReference(_ path: String, by network: any FeatureExtractor) throws -> MeasuredSet {
        guard try StatisticsFile.isOne(path) else { return try measure(openPictures(path: path), by: network) }
        return try StatisticsFile.read(path: path, extractor: network)
    }

    private func measure(_ pictures: any PictureSet, by network: any FeatureExtractor) throws -> MeasuredSet {
        let progress = ProgressLine(stage: "features", total: pictures.count, imagesPerStep: 1)
        defer { progress.finish() }
        return try MeasuredSet(pictures, by: network) { progress.update(step: $0) }
    }
}
