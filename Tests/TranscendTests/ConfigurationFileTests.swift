import Diffusion
import Formats
import Foundation
import TestSupport
import Testing
import Transcend

@Suite struct ConfigurationFileTests {
    @Test func theLastWordCounts() throws {
        let file = try read(
            "preset: demo\nbatch: 32\nsteps: 70\nselfguided: {steps: 90, schedule: {warmupSteps: 1e1}}\n")
        let stages = try ConfigurationBuilder(file: file, settings: [Setting("batch", 8)])
            .pipeline(stages: Pipeline.stages)
        #expect(stages.map(\.batch) == [8, 8])
        #expect(stages.map(\.steps) == [70, 90])
        #expect(stages.map(\.schedule.warmupSteps) == [100, 10])
        #expect(stages.map(\.network.hidden) == [128, 128])
        #expect(stages.map(\.optimizer.adamW.beta1) == [0.9, 0.9])
    }

    @Test func theCommandLineChoosesTheStart() throws {
        let file = try read("preset: cifar10\nreading: published\n")
        let builder = try ConfigurationBuilder(preset: .named("demo"), reading: .paper, file: file)
        let stage = try builder.configuration(stage: "align")
        #expect(stage.network.hidden == 128 && (stage.method.method as? AlignLatent)?.target == .latent)
        let other = try ConfigurationBuilder(preset: .named("demo"), file: file).configuration(stage: "align")
        #expect((other.method.method as? AlignLatent)?.target == .velocity)
    }

    @Test func aSettingOfAMethodReachesThatStageAlone() throws {
        let file = try read("method: {guidanceScale: 7, target: velocity}\nalign.method.alignment.window: [0, 1]\n")
        let stages = try ConfigurationBuilder(file: file).pipeline(stages: Pipeline.stages)
        let align = try #require(stages[0].method.method as? AlignLatent)
        let guided = try #require(stages[1].method.method as? SelfGuided)
        #expect(align.target == .velocity && align.alignment.window == .everywhere)
        #expect(guided.guidanceScale == 7 && guided.alignment.window == TimeWindow(0.4, 0.7))
    }

    @Test(arguments: ["plain", "align", "selfguided"])
    func aStoredConfigurationCanBeGivenBack(stage: String) throws {
        let settings = [Setting("seed", 5), Setting("schedule.learningRate", 3e-5), Setting("precision", "bf16")]
        let stored = try ConfigurationBuilder(preset: .named("cifar10"), settings: settings).configuration(stage: stage)
        let encoder = JSONEncoder()
        encoder.outputFormatting = .prettyPrinted
        let file = try read(String(decoding: encoder.encode(stored), as: UTF8.self))
        #expect(try ConfigurationBuilder(file: file).configuration(stage: nil) == stored)
    }

    @Test func relativePathsAreRelativeToTheFile() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/run/config.yaml"
            try FileManager.default.createDirectory(atPath: folder + "/run", withIntermediateDirectories: true)
            let text = "teacher: ../align\ndata: {source: ../images.zip}\nnetwork: {classes: 3}\n"
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            let configuration = try ConfigurationBuilder(file: ConfigurationFile(path: path)).configuration(
                stage: "selfguided")
            #expect(configuration.teacher == folder + "/align")
            #expect(configuration.data.source == folder + "/images.zip")
        }
    }

    @Test func namedDataAreCounted() throws {
        let file = try read("network: {inputSize: 24, channels: 3}\ndata: {source: pictures}\n")
        #expect(try ConfigurationBuilder(file: file).configuration(stage: "plain").network.classes == 10)
        let own = try read("network: {classes: 12}\ndata: {source: pictures}\n")
        #expect(try ConfigurationBuilder(file: own).configuration(stage: "plain").network.classes == 12)
    }

    /// Files that cannot be used, and what is said after the file's name.
    @Test(arguments: [
        ("batch: 4\nstps: 3\n", ":2:1: stps: there is no such setting; did you mean steps?"),
        (
            "optimizer:\n  learningRate: 1\n",
            ":2:3: optimizer.learningRate: there is no such setting; did you mean schedule."
        ),
        ("learningRate: 1\n", ":1:1: learningRate: there is no such setting; did you mean schedule.learningRate?"),
        ("netwrok:\n  depth: 3\n", ":2:3: netwrok.depth: there is no such setting; did you mean network.depth?"),
        ("network: 5\n", ":1:1: network: this holds settings; give one of them"),
        ("align: 5\n", ":1:1: align: this holds the settings of a stage; give one of them"),
        (
            "align: {method: {teacherDepth: 3}}\n",
            ":1:18: align.method.teacherDepth: there is no such setting in align, but in selfguided"
        ),
        ("steps: many\n", ":1:1: steps: give a whole number, 1 to 4294967295, not \"many\""),
        ("steps: 1.5\n", ":1:1: steps: give a whole number, 1 to 4294967295, not 1.5"),
        ("data: {flips: yes}\n", ":1:8: data.flips: give true or false, not \"yes\""),
        (
            "schedule: {decay: cosin}\n",
            ":1:12: schedule.decay: give constant or cosine, not \"cosin\""
        ),
        ("schedule: {learningRate: .nan}\n", ":1:12: schedule.learningRate: give a number, above 0, not \".nan\""),
        ("method: {alignment: {window: [0.7, 0.4]}}\n", ":1:22: method.alignment.window: give two numbers [low, high]"),
        ("preset: dem\n", ":1:1: preset dem: there is no such preset; did you mean demo?"),
        ("reading: mine\n", ":1:1: reading: give paper or published, not \"mine\""),
        ("steps: 3\nsteps: 4\n", ":1:1: the key steps occurs twice"),
        ("schedule.decay: cosine\nschedule: {decay: cosine}\n", ":2:12: the key schedule.decay occurs twice"),
        ("- steps\n", ":1:1: settings are needed here, each as key: value"),
        ("? [steps]\n: 3\n", ":1:3: a key must be a word"),
        ("steps: 3\n  batch: [\n", ":2:8: this is not YAML: mapping values are not allowed"),
        ("steps: 3\n---\nsteps: 4\n", ":2:1: this is not YAML: expected a single document"),
        ("steps: *other\n", ":1:8: this is not YAML: found undefined alias"),
        ("batch: 1\nsteps: \u{1}\n", ":2:8: this is not YAML: control characters are not allowed"),
        ("method: {name: align, guidanceScale: 3}\n", ":1:23: method.guidanceScale: there is no such setting in align"),
    ])
    func errorsNameThePlace(text: String, message: String) throws {
        let error = #expect(throws: ConfigurationError.self) { try read(text) }
        #expect(error?.description.hasPrefix(name + message) == true, "\(error?.description ?? "")")
    }

    /// Each is refused at once, without the memory that it asks for.
    @Test(arguments: [
        ("brackets", "Maximum nesting level reached"), ("dashes", "Maximum nesting level reached"),
        ("indents", "no setting has a key as long"), ("long key", "no setting has a key as long"),
        ("aliases", "more than 32 aliases"), ("bytes", "is not text in UTF-8"),
        ("comments", "has 1.0 MB, a configuration at most 1.0 MB"), ("word", "settings are needed here"),
    ])
    func hostileFilesAreRefused(content: String, message: String) throws {
        try withTemporaryFolder { folder in
            try Data(hostile(content)).write(to: URL(fileURLWithPath: folder + "/a.yaml"))
            let error = #expect(throws: (any Error).self) { try ConfigurationFile(path: folder + "/a.yaml") }
            #expect("\(try #require(error))".contains(message), "\(String(describing: error).prefix(300))")
        }
    }

    private func hostile(_ content: String) -> [UInt8] {
        func times(_ count: Int, _ text: String) -> String { String(repeating: text, count: count) }
        switch content {
        case "brackets": return Array(times(900_000, "[").utf8)
        case "dashes": return Array(times(400_000, "- ").utf8)
        case "indents": return Array((0..<900).map { times($0, " ") + "a:" }.joined(separator: "\n").utf8)
        case "long key": return Array((times(900, "a") + ": 3").utf8)
        case "bytes": return [0xFF, 0xFE, 0x41]
        case "comments": return Array(times(1_000_001, "#").utf8)
        case "word": return Array(times(900_000, "a").utf8)
        default:
            // Nine references a line, eleven lines: 9^11 values.
            let lines = (1...11).map { "a\($0): &a\($0) [" + times(8, "*a\($0 - 1), ") + "*a\($0 - 1)]\n" }
            return Array(("a0: &a0 [x, x]\n" + lines.joined()).utf8)
        }
    }

    @Test func aFolderIsNoFile() throws {
        try withTemporaryFolder { folder in
            let error = #expect(throws: FileError.self) { try ConfigurationFile(path: folder) }
            #expect(error?.problem == "is not a regular file")
        }
    }

    @Test func aFileOfOneStageIsNoPipeline() throws {
        let file = try read("method: {name: align}\n")
        let pipeline = #expect(throws: ConfigurationError.self) {
            try ConfigurationBuilder(file: file).pipeline(stages: Pipeline.stages)
        }
        #expect(pipeline?.description.contains("a pipeline has the stages align and selfguided") == true)
        let other = #expect(throws: ConfigurationError.self) {
            try ConfigurationBuilder(file: file).configuration(stage: "plain")
        }
        #expect(other?.description.hasSuffix("it is align, and --stage says plain; leave one out") == true)
    }

    private let name = "settings.yaml"

    /// A file with that text; messages call it `name`.
    private func read(_ text: String) throws -> ConfigurationFile {
        try withTemporaryFolder { folder in
            try text.write(toFile: "\(folder)/\(name)", atomically: true, encoding: .utf8)
            do {
                return try ConfigurationFile(path: "\(folder)/\(name)")
            } catch let error as ConfigurationError {
                throw ConfigurationError(error.description.replacingOccurrences(of: folder + "/", with: ""))
            }
        }
    }
}
