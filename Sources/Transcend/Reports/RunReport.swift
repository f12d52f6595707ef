import Evaluation
import Formats
import Foundation
import Models

/// One page about a run or a pipeline: configuration, curves, samples during training, evaluations, feature sheets,
/// machine and speed. It only reads.
public struct RunReport {
    private let path: String
    private let stages: [String]

    /// The maximum number of a stage's sample grids on the page, spread evenly and including the last one.
    private static let grids = 40

    /// Finds the stages; throws a `FileError` if the folder at `path` is neither a run nor a pipeline's.
    public init(path: String) throws {
        self.path = path
        stages = ([path] + Pipeline.stages.map { path + "/" + $0 }).filter {
            FileManager.default.fileExists(atPath: $0 + "/config.json")
        }
        guard !stages.isEmpty else {
            throw FileError(path, "is not a run", remedy: "give the folder of a run or of a pipeline (its --out)")
        }
    }

    /// The page. Throws a `FileError` if a file of the run is damaged.
    public func page() throws -> String {
        let name = URL(fileURLWithPath: path).lastPathComponent
        let parts = try stages.map(Stage.init)
        let links =
            parts.count < 2
            ? "" : "<nav>" + parts.map { ##"<a href="#\##($0.method)">\##($0.method)</a>"## }.joined() + "</nav>\n"
        let head =
            "<h1>\(HTML.text(name))</h1>\n<p class=\"soft\">\(HTML.text(path)), by transcend \(Version.current)</p>\n\(links)"
        return HTML.page(title: "\(name): report", head + parts.map(\.html).joined())
    }

    /// A run, or one stage of a pipeline.
    private struct Stage {
        let folder: String
        let configuration: TrainingConfiguration
        let rows: [MetricsRow]

        var method: String { configuration.method.name }

        init(folder: String) throws {
            self.folder = folder
            configuration = try TrainingConfiguration(storedAt: folder + "/config.json")
            let metrics = folder + "/metrics.jsonl"
            rows = FileManager.default.fileExists(atPath: metrics) ? try MetricsLog.read(path: metrics) : []
        }

        var html: String {
            #"<h2 class="stage" id="\#(method)">\#(method)</h2>"# + "\n" + HTML.section("At a glance", facts)
                + HTML.section("Curves", VectorPlot.figures(lossPanels(rows))) + HTML.section("Samples", samples)
                + HTML.section("Evaluation", evaluations) + HTML.section("Features", pictures(in: "features"))
                + HTML.section("Linear probes", pictures(in: "probes"))
                + HTML.section("Configuration and machine", settings)
        }

        private var facts: String {
            let step = max(RunDirectory.checkpointSteps(in: folder).last ?? 0, rows.last.map { $0.step + 1 } ?? 0)
            var all = [
                ("steps", "\(step) of \(configuration.steps)"),
                ("images seen", readableCount(step * configuration.batch)),
                ("parameters", readableCount(SiT(configuration.network, on: .meta).parameterCount)),
            ]
            func add(_ name: String, _ key: String, _ text: (Double) -> String = readableNumber) {
                if let value = rows.last(where: { $0.values[key] != nil })?.values[key] {
                    all.append((name, text(value)))
                }
            }
            add("denoising loss", "denoisingLoss")
            add("alignment loss", "alignmentLoss")
            let speeds = rows.compactMap { $0.values["imagesPerSecond"] }.sorted()
            if !speeds.isEmpty { all.append(("images per second", readableNumber(speeds[speeds.count / 2]))) }
            add("memory", "residentBytes") { readableBytes(Int($0)) }
            let last = CheckpointEvaluator.results(ofRun: folder).last
            if let distance = last?["frechet_distance"] { all.append(("Fréchet distance", readableNumber(distance))) }
            let cells = all.map { "<div><span>\(HTML.text($0))</span><b>\(HTML.text($1))</b></div>" }
            return #"<div class="facts">"# + cells.joined() + "</div>\n"
        }

        /// Grids with a slider over the steps.
        private var samples: String {
            let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder + "/samples")) ?? [])
                .filter { $0.hasPrefix("step-") && $0.hasSuffix(".png") }.sorted()
            let count = min(names.count, grids)
            let chosen = (0..<count).map { names[($0 + 1) * names.count / count - 1] }
            let images = chosen.compactMap { name -> String? in
                let step = CheckpointName.step(name.dropLast(4)).map { "step \($0)" } ?? name
                let shown = name == chosen.last ? #"class="shown" "# : ""
                return HTML.picture(
                    folder + "/samples/" + name, alternative: "samples at \(step)",
                    attributes: #"\#(shown)data-label="\#(step)""#)
            }
            guard !images.isEmpty else { return "" }
            let slider =
                #"<label><input type="range" min="0" max="\#(images.count - 1)" value="\#(images.count - 1)" aria-label="training step"><output></output></label>"#
            return #"<div class="film">"# + slider + images.joined(separator: "\n") + "</div>\n"
        }

        /// One table per protocol, since metrics of different extractors or protocols are not comparable.
        private var evaluations: String {
            var groups: [(key: String, results: [(step: Int, result: EvaluationResult)])] = []
            for result in CheckpointEvaluator.results(ofRun: folder) {
                let stamp = SampleStamp(json: result.stamp ?? .null)
                let key = [result.extractor, result.reference, stamp?.withoutCheckpoint.json.text() ?? ""].joined(
                    separator: "\n")
                let one = (stamp?.step ?? 0, result)
                if let place = groups.firstIndex(where: { $0.key == key }) {
                    groups[place].results.append(one)
                } else {
                    groups.append((key, [one]))
                }
            }
            return groups.map { table($0.results) }.joined(separator: "<hr>\n")
        }

        private func table(_ results: [(step: Int, result: EvaluationResult)]) -> String {
            let first = results[0].result
            let metrics = EvaluationResult.metrics.filter { name in results.contains { $0.result[name] != nil } }
            let titles = ["step"] + metrics.map(EvaluationResult.title)
            let lines = results.map { step, result in
                ["\(step)"] + metrics.map { result[$0].map { String(format: "%.4f", $0) } ?? "" }
            }
            let series = CurvePlot.Series(
                "distance", results.compactMap { one in one.result["frechet_distance"].map { (Double(one.step), $0) } })
            let panel = CurvePlot.Panel("Fréchet distance", [series], logarithmic: true, exact: true)
            let reference = (first.referenceCount.map { "\($0) of " } ?? "") + first.reference
            let stamp = HTML.table(
                [
                    ["extractor", first.extractor], ["samples", "\(first.sampleCount)"], ["reference", reference],
                    [
                        "protocol",
                        SampleStamp(json: first.stamp ?? .null)?.withoutCheckpoint.json.text() ?? "not known",
                    ],
                ])
            return HTML.table([titles] + lines, hasTitles: true, style: "numbers")
                + HTML.details("How it was measured", stamp)
                + (results.count > 1 ? VectorPlot.figures([panel]) : "")
        }

        /// All sheets in a folder of the run.
        private func pictures(in name: String) -> String {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: "\(folder)/\(name)")) ?? []
            return names.filter { $0.hasSuffix(".png") && !$0.hasPrefix(".") }.sorted().compactMap { file in
                HTML.picture("\(folder)/\(name)/\(file)", alternative: file).map {
                    "<figure><figcaption>\(HTML.text(String(file.dropLast(4))))</figcaption>\($0)</figure>\n"
                }
            }.joined()
        }

        private var settings: String {
            let tree = (try? ConfigurationTree.tree(of: configuration)) ?? .null
            let leaves = ConfigurationTree.flattened(tree).map { [$0.key, $0.value.string ?? $0.value.text()] }
            let machine = (try? JSONValue.read(path: folder + "/machine.json"))?.members ?? []
            return HTML.details("Every setting", HTML.table(leaves))
                + (machine.isEmpty ? "" : HTML.table(machine.map { [$0.key, $0.value.string ?? ""] }))
        }
    }
}
