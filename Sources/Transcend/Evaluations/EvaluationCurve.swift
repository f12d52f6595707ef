import Evaluation
import Formats
import Foundation

/// Runs whose checkpoints were evaluated in the same way, for a common plot.
public struct EvaluationCurve: Sendable {
    /// One run, or one stage of a pipeline.
    public struct Run: Sendable {
        /// The name: the end of its path, as long as necessary to be unique.
        public let name: String
        /// The folder of the run.
        public let path: String
        /// The results of its checkpoints, by step.
        public var results: [(step: Int, result: EvaluationResult)] = []
    }

    /// The runs in the given order; of a pipeline, each stage with a checkpoint.
    public private(set) var runs: [Run]

    /// Finds the runs; throws a `FileError` if a folder is neither a run nor a pipeline with checkpoints.
    public init(_ paths: [String]) throws {
        let folders = try paths.flatMap { path -> [String] in
            let found = ([path] + Pipeline.stages.map { path + "/" + $0 }).filter {
                !RunDirectory.checkpointSteps(in: $0).isEmpty
            }
            guard !found.isEmpty else {
                throw FileError(path, "holds no checkpoint", remedy: "give the folder of a run or of a pipeline")
            }
            return found
        }
        runs = zip(folders, Self.shortNames(folders)).map { Run(name: $1, path: $0) }
    }

    /// The checkpoints at multiples of `every` steps (all of them if it is 1), and the last one.
    public func checkpoints(of run: Int, every: Int) -> [String] {
        let steps = RunDirectory.checkpointSteps(in: runs[run].path)
        return steps.filter { $0.isMultiple(of: every) || $0 == steps.last }.map {
            "\(runs[run].path)/checkpoints/\(CheckpointName.of(step: $0))"
        }
    }

    /// Adds the result of a checkpoint of a run.
    public mutating func append(_ result: EvaluationResult, step: Int, run: Int) {
        runs[run].results.append((step, result))
    }

    /// A table with a row for each checkpoint.
    public var table: Table {
        let all = runs.flatMap(\.results)
        let metrics = EvaluationResult.metrics.filter { name in all.contains { $0.result[name] != nil } }
        var table = Table([.text("run"), .number("step")] + metrics.map { .number(EvaluationResult.title(of: $0)) })
        for run in runs {
            for (step, result) in run.results {
                table.append(
                    [run.name, "\(step)"] + metrics.map { result[$0].map { String(format: "%.4f", $0) } ?? "" })
            }
        }
        return table
    }

    /// The curves of each metric by step.
    public func plot(subtitle: String) -> CurvePlot {
        let panels = EvaluationResult.metrics.compactMap { name -> CurvePlot.Panel? in
            let series = runs.map { run in
                CurvePlot.Series(
                    run.name, run.results.compactMap { one in one.result[name].map { (Double(one.step), $0) } })
            }
            guard series.contains(where: { !$0.points.isEmpty }) else { return nil }
            let isDistance = name.hasSuffix("distance")
            return CurvePlot.Panel(
                EvaluationResult.title(of: name), series.filter { !$0.points.isEmpty }, logarithmic: isDistance,
                exact: true)
        }
        return CurvePlot(title: "Evaluation by training step", subtitle: subtitle, panels: panels)
    }

    /// The shortest ends of the paths that are all different.
    private static func shortNames(_ paths: [String]) -> [String] {
        let parts = paths.map { $0.split(separator: "/") }
        for length in 1...max(1, parts.map(\.count).max() ?? 1) {
            let names = parts.map { $0.suffix(length).joined(separator: "/") }
            if Set(names).count == paths.count { return names }
        }
        return paths
    }
}
