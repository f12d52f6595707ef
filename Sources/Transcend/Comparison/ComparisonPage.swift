import Evaluation
import Foundation

/// The page of a comparison: one self-contained HTML file.
struct ComparisonPage {
    private let summary: ComparisonSummary
    private let curves: ComparisonCurves
    private var configuration: ComparisonConfiguration { summary.configuration }

    init(_ summary: ComparisonSummary) { (self.summary, curves) = (summary, ComparisonCurves(summary)) }

    /// The whole page.
    var html: String {
        let name = URL(fileURLWithPath: configuration.path).deletingPathExtension().lastPathComponent
        let names = summary.variants.map(\.name).joined(separator: ", ")
        let head =
            "<h1>\(HTML.text(names))</h1>\n<p class=\"soft\">\(HTML.text(setting)), by transcend \(Version.current)</p>\n"
        return HTML.page(
            title: "\(name): comparison",
            head + HTML.section("At a glance", glance) + HTML.section("Numbers at the last step", numbers)
                + HTML.section("Cost of training", costs)
                + HTML.section("Distance", distances) + HTML.section("Other metrics by step", others)
                + HTML.section("What the blocks hold", probes) + HTML.section("Samples from the same noise", samples)
                + HTML.section("What differs", differences) + HTML.section("How it was measured", measured))
    }

    /// The common settings: "3000 steps of 128 images, ...".
    private var setting: String {
        let training = summary.baseline.training
        let seeds = configuration.seeds.map(String.init).joined(separator: ", ")
        let data = URL(fileURLWithPath: training.data.source).lastPathComponent
        return "\(training.steps) steps of \(training.batch) images of \(data), "
            + "\(readableCount(summary.baseline.cost.networkParameters)) parameters, "
            + (configuration.seeds.count == 1 ? "seed \(seeds)" : "seeds \(seeds)")
    }

    // MARK: - Sections

    private var glance: String {
        let verdicts = summary.variants.compactMap { variant in
            summary.verdict(of: variant).map { "<li><b>\(HTML.text(variant.name))</b>: \(HTML.text($0))</li>" }
        }
        let missing =
            summary.missing.isEmpty
            ? "" : paragraph("Still missing: " + summary.missing.joined(separator: ", ") + ".")
        let found =
            verdicts.isEmpty
            ? ""
            : paragraph("The Fréchet distance at the last step; lower is better:")
                + "<ul>\n\(verdicts.joined(separator: "\n"))\n</ul>\n"
        return missing + found
            + paragraph(
                "The variants differ in stage, method and teacher alone. Network, data, steps, batch, schedule and seeds are "
                    + "the same, and so are noise, times, labels and the order of images of each step of a seed.",
                style: "soft")
    }

    private var numbers: String {
        let note =
            configuration.seeds.count < 2
            ? ""
            : "Numbers are means of \(configuration.seeds.count) seeds; the spread of the distance is "
                + (configuration.seeds.count == 2 ? "their difference." : "their standard deviation.")
        return HTML.table(summary.measured, hasTitles: true, style: "numbers")
            + (note.isEmpty ? "" : paragraph(note, style: "soft"))
    }

    private var costs: String {
        HTML.table(summary.costs, hasTitles: true, style: "numbers")
            + paragraph(
                "Seconds are the median of a run's lines of metrics, in the mean of its seeds; other work on the machine shows "
                    + "in their spread. Relative numbers are times that of \(summary.baseline.name). FLOPs are those of matrix "
                    + "products, with head and teacher. Heads are among "
                    + "the trained parameters; samples are drawn without them.", style: "soft")
    }

    private var distances: String {
        let step = curves.byStep(ComparisonSummary.distance, title: "Fréchet distance by step")
        var note = configuration.seeds.count > 1 ? "Thick lines are means over seeds, thin ones single seeds. " : ""
        note += "Minutes are steps times the median of a step, without pauses and measuring."
        let followers = summary.variants.compactMap { variant in
            variant.teacher.map { "\(variant.name) begins where its teacher \($0) is trained" }
        }
        if !followers.isEmpty { note += " By minutes, " + followers.joined(separator: ", ") + "." }
        return pairOfPlots(
            VectorPlot.figures([step]), VectorPlot.figures([curves.byTime], axis: "minute", isWhole: false))
            + paragraph(note, style: "soft")
    }

    private var others: String {
        VectorPlot.figures(summary.otherMetrics.map { curves.byStep($0, title: EvaluationResult.title(of: $0)) })
    }

    private var probes: String {
        let figures = VectorPlot.figures(curves.probes, axis: "block")
        guard !figures.isEmpty, let images = summary.variants.lazy.compactMap({ $0.runs.first?.probes?.images }).first
        else { return "" }
        return figures
            + paragraph(
                "Share of \(images.heldOut) held-out images whose class a linear classifier tells from the mean of a block's "
                    + "tokens, fitted to \(images.fitted); noise grows with t from 0 to 1.", style: "soft")
    }

    private var samples: String {
        let rows = summary.variants.compactMap { variant -> String? in
            guard let samples = variant.runs.first?.samples else { return nil }
            return HTML.picture(samples.file, alternative: "samples of \(variant.name)").map {
                "<figure><figcaption>\(HTML.text(variant.name))</figcaption>\($0)</figure>\n"
            }
        }
        guard !rows.isEmpty,
            let classes = summary.variants.lazy.compactMap({ $0.runs.first?.samples?.classes }).first
        else { return "" }
        return #"<div class="rows">"# + "\n" + rows.joined() + "</div>\n"
            + paragraph(
                "A column has one noise and one label; the classes in turn: \(classes.joined(separator: ", ")). Seed "
                    + "\(configuration.seeds[0]), last step.", style: "soft")
    }

    private var differences: String {
        let trees = summary.variants.map { variant in
            ConfigurationTree.flattened((try? ConfigurationTree.tree(of: variant.training)) ?? .null).filter {
                $0.key.hasPrefix("method.")
            }
        }
        var keys: [String] = []
        for (key, _) in trees.joined() where !keys.contains(key) { keys.append(key) }
        let rows = keys.map { key in
            [key] + trees.map { tree in tree.first { $0.key == key }.map { $0.value.string ?? $0.value.text() } ?? "" }
        }
        let teachers = ["teacher"] + summary.variants.map { $0.teacher ?? $0.training.teacher ?? "" }
        return HTML.table([["setting"] + summary.variants.map(\.name)] + rows + [teachers], hasTitles: true)
    }

    private var measured: String {
        guard let result = summary.anyResult else { return "" }
        let stamp = SampleStamp(json: result.stamp ?? .null)?.withoutCheckpoint.json.text() ?? "not known"
        let reference = (result.referenceCount.map { "\($0) of " } ?? "") + result.reference
        let rows =
            [
                ["extractor", result.extractor], ["samples", "\(result.sampleCount)"], ["reference", reference],
                ["protocol", stamp],
                ["seeds", configuration.seeds.map(String.init).joined(separator: ", ")],
                ["version", Version.current],
            ] + summary.machine.map { [$0.name, $0.value] }
        return HTML.table(rows) + result.warnings.map { paragraph("Warning: " + $0 + ".", style: "soft") }.joined()
    }

    // MARK: - Pieces

    private func paragraph(_ text: String, style: String = "") -> String {
        #"<p class="\#(style)">\#(HTML.text(text))</p>"# + "\n"
    }

    /// Two plots side by side, even if their axes differ.
    private func pairOfPlots(_ first: String, _ second: String) -> String {
        #"<div class="plots">"# + first + second + "</div>\n"
    }
}
