import Data
import Formats
import Foundation
import TestSupport
import Testing
import Transcend

/// libtorch uses all cores by itself, so that tests of training run one after another.
@Suite(.serialized) struct TrainingTests {}

/// Settings of a run that takes a second: a network of two small blocks on the embedded pictures. The rate is constant, so
/// that a run of fewer steps is the start of one of more.
func tinySettings(_ more: [Setting] = []) -> [Setting] {
    [
        Setting("network.hidden", 16), Setting("network.depth", 2), Setting("network.heads", 2),
        Setting("network.patchSize", 6), Setting("batch", 8), Setting("steps", 6),
        Setting("method.alignment.headWidth", 16),
        Setting("method.alignment.studentDepth", 1), Setting("method.teacherDepth", 2), Setting("output.logEvery", 1),
        Setting("output.checkpointEvery", 3), Setting("output.sampleEvery", 0), Setting("schedule.warmupSteps", 0),
        Setting("schedule.decay", "constant"),
    ] + more
}

/// The configuration of such a run.
func tinyConfiguration(_ stage: String, _ more: [Setting] = []) throws -> TrainingConfiguration {
    let known =
        [
            "plain": ["alignment.headWidth", "alignment.studentDepth", "teacherDepth"], "align": ["teacherDepth"],
            "repa": ["teacherDepth"], "sra": ["alignment.headWidth"],
            "layersync": ["alignment.headWidth", "teacherDepth"],
        ][stage] ?? []
    let settings = tinySettings(more).filter { setting in !known.contains { setting.key == "method." + $0 } }
    return try ConfigurationBuilder(preset: .named("demo"), settings: settings).configuration(stage: stage)
}

/// Writes embedded pictures as files of two classes below a folder.
func writePictures(_ count: Int, side: Int = 24, to folder: String) throws {
    let pictures = Pictures(side: side)
    try writeClassFolders(count, to: folder) { try ImageFile.encodePNG(pictures.image($0)) }
}

/// Trains a stage in a folder to its end.
@discardableResult
func train(_ configuration: TrainingConfiguration, in folder: String) throws -> Trainer.Outcome {
    try Trainer(configuration, dataset: TrainingData.open(configuration), run: RunDirectory(folder)).train()
}

/// The bytes of every file below a folder, by its path in it.
func contents(of folder: String) throws -> [String: Data] {
    let paths = FileManager.default.enumerator(atPath: folder)?.allObjects as? [String] ?? []
    var files: [String: Data] = [:]
    for path in paths {
        if let data = FileManager.default.contents(atPath: folder + "/" + path) { files[path] = data }
    }
    return files
}

/// Every setting of a configuration under its dotted key, as it is stored.
func leaves(of configuration: TrainingConfiguration) throws -> [String: JSONValue] {
    var all: [String: JSONValue] = [:]
    func visit(_ value: JSONValue, _ key: String) {
        guard let members = value.members else {
            all[key] = value
            return
        }
        for member in members { visit(member.value, key.isEmpty ? member.key : key + "." + member.key) }
    }
    visit(try JSONValue(parsing: String(decoding: JSONEncoder().encode(configuration), as: UTF8.self)), "")
    return all
}

/// Writes a changed file, with the checksum that whoever would have written it so would have given it.
func edit(_ path: String, _ body: (JSONValue) -> JSONValue) throws {
    let document = body(try JSONValue.read(path: path))
    var members = (document.members ?? []).filter { $0.key != "checksum" }
    if document["checksum"] != nil {
        let checksum = Array(JSONValue.object(members).text().utf8).withUnsafeBytes { Checksum(of: $0).text }
        members.append(JSONValue.Member("checksum", .string(checksum)))
    }
    try JSONValue.object(members).text(.pretty).write(toFile: path, atomically: true, encoding: .utf8)
}

/// The tree with another value at a dotted key; "" is the whole.
func changing(_ key: String, in tree: JSONValue, _ body: (JSONValue) -> JSONValue) -> JSONValue {
    guard let head = key.split(separator: ".").first.map(String.init) else { return body(tree) }
    let rest = String(key.dropFirst(head.count + 1))
    return .object(
        (tree.members ?? []).map { $0.key == head ? .init(head, changing(rest, in: $0.value, body)) : $0 })
}
