import Diffusion
import Formats
import Foundation
import TestSupport
import Testing
import Transcend

@Suite struct SettingsTableTests {
    /// Each with the keys that its configuration stores.
    @Test(arguments: Methods.all.map { $0.name })
    func everySettingIsDescribedAndNothingElse(stage: String) throws {
        let configuration = try ConfigurationBuilder().configuration(stage: stage)
        let method = try #require(Methods.named(stage))
        #expect(try leaves(of: configuration).keys.sorted() == SettingsTable.settings(of: method).map(\.key).sorted())
    }

    /// Settings that need not fit others, as sizes and blocks of a network must.
    private static let free = SettingsTable.all.filter {
        !$0.key.hasPrefix("network.") && !$0.key.hasSuffix("Depth") && !$0.key.contains("weightChange")
            && !$0.key.hasSuffix("finalWeight")
            && $0.key != "method.name"
    }

    /// What is documented is what is checked: the bounds themselves pass, what lies beyond does not.
    @Test(arguments: free.map(\.key))
    func boundsHold(key: String) throws {
        let (inside, outside) = samples(of: try #require(Self.free.first { $0.key == key }).allowed)
        func configure(_ value: JSONValue) throws {
            // Divisible by every bound of the accumulation.
            let batch = [Setting("batch", .int(1 << 20))].filter { $0.key != key }
            let builder = ConfigurationBuilder(settings: batch + [Setting(key, value)])
            let owners = Methods.all.filter { SettingsTable.settings(of: $0).contains { $0.key == key } }.map {
                $0.name
            }
            if Set(Pipeline.stages).isDisjoint(with: owners) {
                _ = try builder.configuration(stage: owners[0])
            } else {
                _ = try builder.pipeline(stages: Pipeline.stages)
            }
        }
        for value in inside { #expect(throws: Never.self, "\(value)") { try configure(value) } }
        for value in outside {
            let error = #expect(throws: ConfigurationError.self, "\(value)") { try configure(value) }
            #expect(error?.description.hasPrefix("\(key): give ") == true, "\(error?.description ?? "")")
        }
    }

    @Test func theManualIsWhatTheProgramPrints() throws {
        let page = try String(contentsOfFile: repository.path + "/docs/settings.md", encoding: .utf8)
        let stages = Methods.all.map { $0.name }
        #expect(
            try page == SettingsReference(ConfigurationBuilder(), stages: stages).markdown,
            "write it anew: transcend inspect --config --markdown > docs/settings.md")
    }

    @Test func anExplanationFitsTheTerminalAndShowsBothValues() throws {
        let text = try SettingsReference(
            ConfigurationBuilder(preset: .named("demo")), stages: ["align", "selfguided"]
        ).text
        #expect(!text.split(separator: "\n").contains { $0.count > 100 })
        #expect(
            text.contains(
                """
                steps = 1600 in align, 4400 in selfguided (default 400000)
                    Optimiser steps in all. Unit: steps. Allowed: 1 to 4294967295.
                """))
    }

    /// Values at the bounds, and values beyond them or of another type.
    private func samples(of allowed: AllowedValues) -> (inside: [JSONValue], outside: [JSONValue]) {
        switch allowed {
        case .truth: return ([true, false], ["yes", 1, nil])
        case .whole(let range):
            let (low, high) = (Int64(range.lowerBound), Int64(range.upperBound))
            return ([.int(low), .int(high)], [.int(low - 1), 1.5, "1", nil] + (high < .max ? [.int(high + 1)] : []))
        case .number(let range):
            let bounds = [(range.lower, range.includesLower, -1.0), (range.upper, range.includesUpper, 1.0)]
            let finite = bounds.filter { $0.0.isFinite }
            let edges = finite.filter(\.1).map { JSONValue.number($0.0) }
            let beyond = finite.map { JSONValue.number($0.1 ? $0.0 + $0.2 * 1e-9 : $0.0) }
            return (edges, beyond + [.number(.nan), .number(.infinity), "1", nil])
        case .zero(let range):
            let (inside, outside) = samples(of: .number(range))
            return (inside + [0], outside + [-1])
        case .interval:
            return ([[0, 1], [0.5, 0.5]], [[0.7, 0.4], [-0.1, 1], [0, 1.1], [0.4], [0, 0.5, 1], 0.4, nil])
        case .name(let names): return (names.map { .string($0) }, ["other", 1, nil])
        case .path, .text: return ([], [1, nil, [""]])
        case .list(let values):
            let (inside, outside) = samples(of: values)
            return ([.array([]), .array(inside)], [1, nil] + outside.prefix(1).map { .array([$0]) })
        case .optional(let values):
            let (inside, outside) = samples(of: values)
            return (inside + [nil], outside.filter { $0 != .null })
        }
    }
}
