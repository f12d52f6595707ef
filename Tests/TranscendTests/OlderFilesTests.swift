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

        private func removing(_ key: String, from tree: JSONValue) -> JSONValue {
            let parts = key.split(separator: ".").map(String.init)
            let group = parts.dropLast().joined(separator: ".")
            return changing(group, in: tree) { .object(($0.members ?? []).filter { $0.key != parts[parts.count - 1] }) }
        }
    }
}
