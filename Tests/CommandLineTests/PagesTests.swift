import Formats
import Foundation
import TestSupport
import Testing

/// What the pages for users say of the command line, held against the program's own parser.
@Suite struct PagesTests {
    /// The flags of each command, without the dashes; those that every command has are under "".
    private static let flags: [String: Set<String>] = {
        let dump = try? withTemporaryFolder { try transcend(["--experimental-dump-help"], in: $0).output }
        guard let root = try? JSONValue(parsing: dump ?? "")["command"] else { return [:] }
        func names(_ command: JSONValue) -> Set<String> {
            let arguments = command["arguments"]?.elements ?? []
            let own = arguments.flatMap { $0["names"]?.elements ?? [] }.compactMap { $0["name"]?.string }
            return (command["subcommands"]?.elements ?? []).reduce(Set(own)) { $0.union(names($1)) }
        }
        func ownNames(_ command: JSONValue) -> Set<String> {
            guard let object = command["arguments"] else { return [] }
            return names(.object([.init("arguments", object)]))
        }
        // Those of the parser itself are in no list.
        var flags = ["": ownNames(root).union(["help", "version", "generate-completion-script"])]
        for command in root["subcommands"]?.elements ?? [] {
            flags[command["commandName"]?.string ?? ""] = names(command)
        }
        return flags
    }()

    private static let pages =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"]
        + ((try? FileManager.default.contentsOfDirectory(atPath: repository.path + "/docs")) ?? [])
        .filter { $0.hasSuffix(".md") || $0.hasSuffix(".mdoc") }.sorted().map { "docs/" + $0 }

    @Test(arguments: pages)
    func namesOnlyCommandsAndFlagsThatThereAre(page: String) throws {
        try #require(Self.flags.count > 10, "the program does not list its commands")
        let all = Self.flags.values.reduce(Set()) { $0.union($1) }
        for phrase in try phrases(of: page) {
            // What other programs are given comes before the name of this one.
            let isLaunched = ["torchrun", "srun", "mpirun"].contains { phrase.hasPrefix($0) }
            let phrase =
                isLaunched ? String(phrase[(phrase.range(of: "transcend ")?.lowerBound ?? phrase.endIndex)...]) : phrase
            let words = phrase.split { " `()[]|,;".contains($0) }.map(String.init)
            let command = zip(words, words.dropFirst()).first { $0.0.hasSuffix("transcend") }?.1 ?? ""
            let isCommand = command.allSatisfy { $0.isLowercase } && !command.isEmpty && phrase.hasPrefix("transcend ")
            if isCommand { #expect(Self.flags[command] != nil, "\(page): there is no command \(command): \(phrase)") }
            let known = isCommand ? (Self.flags[command] ?? []).union(Self.flags[""] ?? []) : all
            for flag in words.filter({ $0.hasPrefix("--") }).map(name) where !flag.isEmpty {
                #expect(known.contains(flag), "\(page): there is no --\(flag): \(phrase)")
            }
        }
    }

    /// "--align.steps=5." -> "steps".
    private func name(_ word: String) -> String {
        let letters = word.dropFirst(2).prefix { $0.isLetter || $0.isNumber || "-.".contains($0) }
        let name = letters.split(separator: ".").map(String.init)
        return name.count > 1 && ["align", "selfguided"].contains(name[0]) ? name[1] : name.first ?? ""
    }

    /// What stands between backquotes, and the lines of code.
    private func phrases(of page: String) throws -> [String] {
        var text = try String(contentsOfFile: repository.path + "/" + page, encoding: .utf8)
        if page.hasSuffix(".mdoc") { return [text.replacing("\n.Fl -", with: " --").replacing("\n", with: " ")] }
        if page == "docs/from-repa.md" {  // the first column of its tables has flags of others
            let lines = text.replacing("\\|", with: ",").split(separator: "\n")
            text = lines.map { $0.hasPrefix("|") ? $0.split(separator: "|").dropFirst().joined() : String($0) }
                .joined(separator: "\n")
        }
        var phrases: [String] = []
        var prose = ""
        for (index, part) in text.components(separatedBy: "```").enumerated() {
            if index % 2 == 0 {
                prose += part
            } else {
                let lines = part.replacing("\\\n", with: " ").split(separator: "\n")
                phrases += lines.map { $0.trimmingCharacters(in: .whitespaces).replacing(".build/release/", with: "") }
            }
        }
        let spans = prose.replacing("\n", with: " ").components(separatedBy: "`")
        return phrases + spans.enumerated().compactMap { $0.offset % 2 == 1 ? $0.element : nil }
    }
}
