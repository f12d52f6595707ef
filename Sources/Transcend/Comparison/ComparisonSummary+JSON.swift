import Formats
import Foundation

extension ComparisonSummary {
    /// All numbers of the page as one object.
    public var json: JSONValue {
        let training = baseline.training
        var members: [JSONValue.Member] = [
            .init("version", .string(Version.current)),
            .init("seeds", .array(configuration.seeds.map { .int(Int64($0)) })),
            .init("steps", .int(Int64(training.steps))), .init("batch", .int(Int64(training.batch))),
            .init("data", .string(training.data.source)), .init("baseline", .string(baseline.name)),
            .init("missing", .array(missing.map(JSONValue.string))),
        ]
        if let result = anyResult {
            members += [
                .init("extractor", .string(result.extractor)), .init("reference", .string(result.reference)),
                .init("sample_count", .int(Int64(result.sampleCount))),
                .init("protocol", SampleStamp(json: result.stamp ?? .null)?.withoutCheckpoint.json ?? .null),
            ]
        }
        members.append(.init("machine", .object(machine.map { .init($0.name, .string($0.value)) })))
        members.append(.init("variants", .array(variants.map(json))))
        return .object(members)
    }

    /// The machine on which the first run was last trained.
    var machine: [(name: String, value: String)] {
        let run = variants.lazy.compactMap(\.runs.first).first
        let stored = run.flatMap { try? JSONValue.read(path: $0.run.path + "/machine.json") }
        return (stored?.members ?? []).map { ($0.key, $0.value.string ?? "") }
    }

    private func json(_ variant: Variant) -> JSONValue {
        func number(_ value: Double?) -> JSONValue { value.map(JSONValue.number) ?? .null }
        var metrics = ([Self.distance] + otherMetrics).map { JSONValue.Member($0, variant.last($0).json) }
        if variant.recognised.mean != nil { metrics.append(.init("recognised_classes", variant.recognised.json)) }
        return .object([
            .init("name", .string(variant.name)), .init("stage", .string(variant.training.method.name)),
            .init("teacher", (variant.teacher ?? variant.training.teacher).map(JSONValue.string) ?? .null),
            .init("last_step", .object(metrics)), .init("seconds_per_step", variant.stepSeconds.json),
            .init("relative_time", number(relative(\.stepSeconds, of: variant))),
            .init("flops_per_image_and_step", .number(variant.cost.stepFLOPs)),
            .init("relative_flops", .number(relativeFLOPs(of: variant))),
            .init("trained_parameters", .int(Int64(variant.cost.networkParameters + variant.cost.headParameters))),
            .init("verdict", verdict(of: variant).map(JSONValue.string) ?? .null),
            .init("runs", .array(variant.runs.map(json))),
        ])
    }

    private func json(_ run: MeasuredRun) -> JSONValue {
        let steps = run.results.map { step, result in
            JSONValue.object(
                [
                    .init("step", .int(Int64(step))),
                    .init("minutes", minutes(of: run, to: step).map(JSONValue.number) ?? .null),
                ] + result.values.map { .init($0.name, .number($0.value)) })
        }
        return .object([
            .init("seed", .int(Int64(run.run.seed))),
            .init("folder", .string("seed-\(run.run.seed)/\(run.run.variant)")),
            .init("steps", .array(steps)), .init("probes", run.probes?.json ?? .null),
        ])
    }
}
