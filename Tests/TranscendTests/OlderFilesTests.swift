import Formats
import Foundation
import TestSupport
import Testing
import Transcend

extension TrainingTests {
    /// Runs and checkpoints that another version wrote.
    @Suite struct OlderFiles {
        /// Settings that were not there take their defaults: those of demo where nothing else was said.
        @Test func whatAnOlderVersionWroteGoesOn() throws {
            try withTemporaryFolder { folder in
                let (older, newer) = (folder + "/older", folder + "/newer")
                for run in [older, newer] { try train(tinyConfiguration("align", [Setting("steps", 3)]), in: run) }
                let missing = ["precision", "preview", "optimizer.adamW.epsilon", "method.alignment.semantics"]
                for key in missing {
                    try edit(older + "/config.json") { removing(key, from: $0) }
                    try edit(older + "/checkpoints/step-0000003/state.json") {
                        removing("configuration." + key, from: $0)
                    }
                }
                let checkpoint = try Checkpoint(older)
                #expect(try leaves(of: checkpoint.state.configuration)["optimizer.adamW.epsilon"] == 1e-8)
                for run in [older, newer] { try train(tinyConfiguration("align"), in: run) }
                let name = "/checkpoints/step-0000006"
                #expect(try contents(of: older + name) == contents(of: newer + name))
            }
        }

        @Test func aMissingSettingIsItsDefaultWhenARunContinues() throws {
            try withTemporaryFolder { folder in
                try train(tinyConfiguration("plain", [Setting("steps", 3)]), in: folder)
                try edit(folder + "/config.json") { removing("precision", from: $0) }
                let error = #expect(throws: ConfigurationError.self) {
                    try train(tinyConfiguration("plain", [Setting("precision", "bf16")]), in: folder)
                }
                #expect(
                    error?.description.contains("this run has precision = \"f32\", now it would be \"bf16\"") == true)
            }
        }

        @Test func whatANewerVersionWroteIsRefused() throws {
            try withTemporaryFolder { folder in
                try train(tinyConfiguration("plain", [Setting("steps", 3)]), in: folder)
                let sentence = "(it holds the setting network.rotary, so it was written by a newer version)"
                let added = JSONValue.Member("rotary", true)
                try edit(folder + "/checkpoints/step-0000003/state.json") {
                    changing("configuration.network", in: $0) { .object(($0.members ?? []) + [added]) }
                }
                let error = #expect(throws: FileError.self) { try Checkpoint(folder) }
                #expect(error?.problem == "cannot be understood \(sentence)")
                try edit(folder + "/config.json") {
                    changing("network", in: $0) { .object(($0.members ?? []) + [added]) }
                }
                let run = #expect(throws: FileError.self) { try train(tinyConfiguration("plain"), in: folder) }
                #expect(run?.problem == "cannot be understood \(sentence)")
            }
        }

        /// Writes a changed file, with the checksum that the other version would have written.
        private func edit(_ path: String, _ body: (JSONValue) -> JSONValue) throws {
            let document = body(try JSONValue.read(path: path))
            var members = (document.members ?? []).filter { $0.key != "checksum" }
            if document["checksum"] != nil {
                let checksum = Array(JSONValue.object(members).text().utf8).withUnsafeBytes { Checksum(of: $0).text }
                members.append(JSONValue.Member("checksum", .string(checksum)))
            }
            try JSONValue.object(members).text(.pretty).write(toFile: path, atomically: true, encoding: .utf8)
        }

        private func removing(_ key: String, from tree: JSONValue) -> JSONValue {
            let parts = key.split(separator: ".").map(String.init)
            let group = parts.dropLast().joined(separator: ".")
            return changing(group, in: tree) { .object(($0.members ?? []).filter { $0.key != parts[parts.count - 1] }) }
        }

        /// The tree with another value at a dotted key; "" is the whole.
        private func changing(_ key: String, in tree: JSONValue, _ body: (JSONValue) -> JSONValue) -> JSONValue {
            guard let head = key.split(separator: ".").first.map(String.init) else { return body(tree) }
            let rest = String(key.dropFirst(head.count + 1))
            return .object(
                (tree.members ?? []).map { $0.key == head ? .init(head, changing(rest, in: $0.value, body)) : $0 })
        }
    }
}
