import Foundation
import TestSupport
import Testing

/// docs/troubleshooting.md, held against the sources: it explains what they say, and nothing that they do not.
@Suite struct MessagesTests {
    /// The messages of its tables.
    private static let explained = Result {
        let path = repository.path + "/docs/troubleshooting.md"
        let rows = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").filter {
            $0.hasPrefix("| `")
        }
        return rows.flatMap { row in
            row.split(separator: "|")[0].matches(of: /`(?<message>[^`]+)`/).map {
                MessageTemplates.normalised(String($0.message))
            }
        }
    }

    private static let sources = Result {
        let folder = repository.path + "/Sources"
        let names = (FileManager.default.enumerator(atPath: folder)?.allObjects as? [String] ?? []).sorted()
        return try names.filter { $0.hasSuffix(".swift") }.map { name in
            (name, MessageTemplates(of: try String(contentsOfFile: folder + "/" + name, encoding: .utf8)).all)
        }
    }

    @Test func explainsEveryMessageOfTheProgram() throws {
        let explained = Set(try Self.explained.get())
        let sources = try Self.sources.get()
        // Far fewer would mean that the reader of sources has lost its way.
        #expect(sources.reduce(0) { $0 + $1.1.count } > 250)
        for (name, templates) in sources {
            for template in templates.subtracting(explained).sorted() {
                Issue.record("Sources/\(name) can say this: explain it in docs/troubleshooting.md: `\(template)`")
            }
        }
    }

    @Test func explainsEveryFailureOfTheScripts() throws {
        let explained = try Self.explained.get()
        for beginning in try scripts() {
            #expect(
                explained.contains { $0.hasPrefix(beginning) },
                "a script says this: explain it in docs/troubleshooting.md: `\(beginning)…`")
        }
    }

    @Test func explainsNothingThatIsNotSaid() throws {
        let said = try Self.sources.get().reduce(into: Set()) { $0.formUnion($1.1) }
        let scripts = try scripts()
        for message in try Self.explained.get() {
            #expect(
                said.contains(message) || scripts.contains(where: message.hasPrefix),
                "nothing says this any more: remove it from docs/troubleshooting.md: `\(message)`")
        }
    }

    /// How the failures of scripts begin, up to what varies.
    private func scripts() throws -> Set<String> {
        let folder = repository.path + "/Scripts"
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        let calls = try names.filter { $0.hasSuffix(".sh") && !$0.hasPrefix("test-") }.flatMap { name in
            try String(contentsOfFile: folder + "/" + name, encoding: .utf8).components(separatedBy: "fail \"")
                .dropFirst()
        }
        let beginnings = calls.map { MessageTemplates.normalised(String($0.prefix { !"$\"(".contains($0) })) }
        return Set(beginnings).subtracting([""])
    }
}
