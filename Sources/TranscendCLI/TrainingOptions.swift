import ArgumentParser
import Diffusion
import Formats
import Foundation
import Models
import Transcend

/// The settings of a training stage that have flags of their own; `--set` reaches all others.
struct TrainingOptions: ParsableArguments {
    @Option(help: .setting("data.source", "path"))
    var data: String?
    @Flag(help: .setting("data.skipBadImages"))
    var skipBadImages = false
    @Option(help: .setting("steps", "n"))
    var steps: Int?
    @Option(help: .setting("batch", "n"))
    var batch: Int?
    @Option(help: .setting("accumulation", "n"))
    var accumulation: Int?
    @Option(help: .setting("schedule.learningRate", "rate"))
    var learningRate: Double?
    @Option(help: .setting("optimizer.emaDecay", "decay"))
    var ema: Double?
    @Option(help: .setting("seed", "n"))
    var seed: UInt64?
    @Option(help: .setting("precision", "type"))
    var precision: String?
    @Option(help: .setting("device", "name"))
    var device: String?
    @Option(help: .setting("preview.autoencoder", "path"))
    var autoencoder: String?
    @Option(help: .setting("output.checkpointEvery", "n"))
    var checkpointEvery: Int?
    @Option(help: .setting("output.sampleEvery", "n"))
    var sampleEvery: Int?
    @Option(help: .setting("optimizer.skipNonfinite", "n"))
    var skipNonfinite: Int?
    @Option(help: ArgumentHelp("Network of a published size, such as SiT-B/2.", valueName: "name"))
    var model: String?
    @Option(help: .setting("network.inputSize", "n"))
    var resolution: Int?
    @Option(help: .setting("method.alignment.studentDepth", "n"))
    var studentDepth: Int?
    @Option(help: .setting("method.teacherDepth", "n"))
    var teacherDepth: Int?
    @Option(help: .setting("method.guidanceScale", "w"))
    var guidanceScale: Double?
    @Option(
        parsing: .upToNextOption,
        help: .setting("method.alignment.window", "low high"))
    var window: [Double] = []
    @Option(help: .setting("method.target", "name"))
    var target: String?
    @Option(help: .setting("method.alignment.headWidth", "n"))
    var headWidth: Int?
    @Option(
        parsing: .upToNextOption,
        help: .setting("method.targets.encoders", "path"))
    var encoders: [String] = []
    @Option(help: .setting("teacher", "path"))
    var teacher: String?
    @Option(
        name: .customLong("init"),
        help: .setting("initialWeights", "path"))
    var initialWeights: String?
    @Option(
        name: .customLong("resume"),
        help: .setting("initialState", "path"))
    var initialState: String?
    @Option(help: ArgumentHelp("Any other setting of config.json.", valueName: "key=value"))
    var set: [String] = []

    /// The flags that were given, as settings of the configuration.
    func settings() throws -> [Setting] {
        var all: [Setting] = []
        func add(_ key: String, _ value: JSONValue?, _ flag: String) {
            if let value { all.append(Setting(key, value, origin: flag)) }
        }
        func path(_ path: String) throws -> JSONValue { .string(try absolute(path)) }
        if let data {
            add("data.source", data == DataConfiguration.embedded ? .string(data) : try path(data), "--data")
        }
        if skipBadImages { add("data.skipBadImages", .bool(true), "--skip-bad-images") }
        if let model { all += try networkSettings(model) }
        add("network.inputSize", resolution.map(integer), "--resolution")
        add("steps", steps.map(integer), "--steps")
        add("batch", batch.map(integer), "--batch")
        add("accumulation", accumulation.map(integer), "--accumulation")
        add("schedule.learningRate", learningRate.map(JSONValue.number), "--learning-rate")
        add("optimizer.emaDecay", ema.map(JSONValue.number), "--ema")
        if let seed, seed > Int64.max { throw ConfigurationError("--seed \(seed): give a number below 2^63") }
        add("seed", seed.map { .int(Int64($0)) }, "--seed")
        add("precision", precision.map(JSONValue.string), "--precision")
        add("device", device.map(JSONValue.string), "--device")
        add("preview.autoencoder", try autoencoder.map(path), "--autoencoder")
        add("output.checkpointEvery", checkpointEvery.map(integer), "--checkpoint-every")
        add("output.sampleEvery", sampleEvery.map(integer), "--sample-every")
        add("optimizer.skipNonfinite", skipNonfinite.map(integer), "--skip-nonfinite")
        add("method.alignment.studentDepth", studentDepth.map(integer), "--student-depth")
        add("method.teacherDepth", teacherDepth.map(integer), "--teacher-depth")
        add("method.guidanceScale", guidanceScale.map(JSONValue.number), "--guidance-scale")
        if !window.isEmpty { add("method.alignment.window", .array(window.map(JSONValue.number)), "--window") }
        add("method.target", target.map(JSONValue.string), "--target")
        add("method.alignment.headWidth", headWidth.map(integer), "--head-width")
        if !encoders.isEmpty {
            add("method.targets.encoders", .array(try encoders.map(path)), "--encoders")
        }
        add("teacher", try teacher.map(path), "--teacher")
        add("initialWeights", try initialWeights.map(path), "--init")
        add("initialState", try initialState.map(path), "--resume")
        return try all + set.map(Self.assignment)
    }

    private func integer(_ value: Int) -> JSONValue { .int(Int64(value)) }

    private func networkSettings(_ name: String) throws -> [Setting] {
        guard let published = SiTConfiguration(named: name) else {
            throw ConfigurationError(
                "--model \(name): there is no such network; choose SiT-S, B, L or XL with /2, /4 or /8")
        }
        return [
            ("depth", published.depth), ("hidden", published.hidden), ("heads", published.heads),
            ("patchSize", published.patchSize),
        ].map { Setting("network.\($0.0)", integer($0.1), origin: "--model") }
    }

    /// Parses "key=value", with the value as JSON if it is JSON, otherwise as text.
    private static func assignment(_ text: String) throws -> Setting {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2 else { throw ConfigurationError("--set \(text): give key=value") }
        return Setting(parts[0], (try? JSONValue(parsing: parts[1])) ?? .string(parts[1]), origin: "--set \(text)")
    }
}

extension ArgumentHelp {
    /// The help text of a setting, from the table.
    static func setting(_ key: String, _ valueName: String? = nil) -> ArgumentHelp {
        ArgumentHelp("\(SettingsReference.help(key))", valueName: valueName)
    }
}

/// The options that select a configuration's starting point.
struct StartOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Starting point: \(Preset.all.map(\.name).joined(separator: ", ")).", valueName: "name"))
    var preset: String?
    @Option(help: ArgumentHelp("Of the method: the paper, or its published code. (default: paper)", valueName: "name"))
    var reading: Reading?

    /// Creates the builder of configurations.
    func builder(
        file: ConfigurationFile? = nil, _ settings: [Setting] = [], stages: [String: [Setting]] = [:]
    ) throws -> ConfigurationBuilder {
        ConfigurationBuilder(
            preset: try preset.map { try Preset.named($0) }, reading: reading, file: file, settings: settings,
            stageSettings: stages)
    }
}

/// The options of all commands that train.
struct RunOptions: ParsableArguments {
    @OptionGroup var start: StartOptions
    @Option(help: ArgumentHelp("Settings in YAML, or a run's config.json.", valueName: "file"))
    var config: String?
    @Option(help: ArgumentHelp("Folder of the run; the same command continues it.", valueName: "path"))
    var out: String?
    @Flag(help: "Print configuration, parameters, FLOPs and memory, and stop.")
    var dryRun = false

    /// Creates the builder of configurations, including the settings of single stages.
    func builder(_ settings: [Setting], stages: [String: [Setting]] = [:]) throws -> ConfigurationBuilder {
        try start.builder(file: config.map(ConfigurationFile.init), settings, stages: stages)
    }

    /// The run's folder.
    func folder() throws -> String {
        guard let out else { throw ConfigurationError("--out: give the folder of the run") }
        return try absolute(out)
    }
}

/// Flags of one stage of a pipeline: `--align.steps 500 --selfguided.window 0.4 0.7`.
enum StageFlags {
    /// The arguments with each `--STAGE.FLAG VALUES...` turned into `--STAGE=--FLAG --STAGE=VALUE ...`, which the
    /// parser collects for the stage.
    static func gathered(_ arguments: [String]) -> [String] {
        var result: [String] = []
        var stage: String?
        for argument in withNegativeNumbersJoined(arguments) {
            let isFlag = argument.hasPrefix("-") && Double(argument) == nil
            if isFlag {
                stage = Pipeline.stages.first { argument.hasPrefix("--\($0).") }
                let flag = stage.map { argument.dropFirst($0.count + 3) }
                result.append(flag.map { "--\(stage!)=--\($0)" } ?? argument)
            } else {
                result.append(stage.map { "--\($0)=\(argument)" } ?? argument)
            }
        }
        return result
    }

    /// The arguments with `--flag -5` as `--flag=-5`: otherwise the parser takes a negative number for a flag.
    private static func withNegativeNumbersJoined(_ arguments: [String]) -> [String] {
        arguments.reduce(into: []) { result, argument in
            if argument.hasPrefix("-"), Double(argument) != nil, let last = result.last, last.hasPrefix("--"),
                !last.contains("=")
            {
                result[result.count - 1] = last + "=" + argument
            } else {
                result.append(argument)
            }
        }
    }
}
