import Foundation

/// The sentences of errors and warnings that a Swift source can say: its literals, with "…" for what varies.
struct MessageTemplates {
    /// Calls whose literals are such sentences, and those where only warnings are.
    private static let errors: Set = [
        "FileError", "FileError.system", "ConfigurationError", "ValidationError", "DivergenceError", "Problem", "wrong",
        "error", "warnings.append", "fail", "state.fail",
    ]
    private static let notes: Set = ["note", "progress.note", ".note", "say"]
    /// Properties and functions that give such sentences.
    private static let givers = ["problem", "problems", "blockProblem", "deviceProblem", "misfit", "sentence"]

    private(set) var all: Set<String> = []
    private let text: [UInt8]

    /// Those of one source.
    init(of source: String) {
        text = Array(source.utf8)
        var place = 0
        while place < text.count {
            if skipComment(&place) { continue }
            if text[place] == UInt8(ascii: "\"") {
                _ = literal(&place)
                continue
            }
            if text[place] == UInt8(ascii: "(") {
                let (name, before) = word(endingAt: place)
                if before != "func", Self.errors.contains(name) { add(sentences(from: place)) }
                if Self.notes.contains(name) { add(sentences(from: place).filter { $0.contains("warning:") }) }
            } else if text[place] == UInt8(ascii: "{"), Self.givers.contains(declared(before: place)) {
                // Names of settings stand there too.
                add(sentences(from: place), words: 3)
            }
            place += 1
        }
    }

    /// "use `train`:  …… " -> "use train: …": backquotes would end the page's own.
    static func normalised(_ text: String) -> String {
        let words = text.replacing("`", with: "").split(whereSeparator: \.isWhitespace)
        var result = words.joined(separator: " ")
        while result.contains("……") { result = result.replacing("……", with: "…") }
        return result
    }

    /// Takes those with as many words and more.
    private mutating func add(_ sentences: [String], words: Int = 2) {
        all.formUnion(
            sentences.map(Self.normalised).filter { sentence in
                sentence.split(separator: " ").count { $0.count { $0.isASCII && $0.isLetter } > 1 } >= words
            })
    }

    /// The literals between a bracket and its partner, those that "+" joins as one, without remedies.
    private func sentences(from bracket: Int) -> [String] {
        var (sentences, depth, place, code) = ([String](), 0, bracket, "")
        while place < text.count {
            if skipComment(&place) { continue }
            let byte = text[place]
            if byte == UInt8(ascii: "\"") {
                let part = literal(&place)
                if code.hasSuffix("+"), let last = sentences.popLast() {
                    sentences.append(last + part)
                } else if !code.hasSuffix("remedy:") {
                    sentences.append(part)
                }
                continue
            }
            if "({[".utf8.contains(byte) { depth += 1 }
            if ")}]".utf8.contains(byte) { depth -= 1 }
            if depth == 0 { break }
            if byte > 32 { code = String((code + String(UnicodeScalar(byte))).suffix(8)) }
            place += 1
        }
        return sentences
    }

    /// The literal that begins here, and the place behind it.
    private func literal(_ place: inout Int) -> String {
        let mark = text[place...].starts(with: "\"\"\"".utf8) ? 3 : 1
        place += mark
        var bytes: [UInt8] = []
        while !text[place...].prefix(mark).allSatisfy({ $0 == UInt8(ascii: "\"") }) {
            guard text[place] == UInt8(ascii: "\\") else {
                bytes.append(text[place])
                place += 1
                continue
            }
            place += 1
            if text[place] == UInt8(ascii: "(") {
                skipBrackets(&place)
                bytes += "…".utf8
            } else {
                bytes.append("nt\n".utf8.contains(text[place]) ? UInt8(ascii: " ") : text[place])
                place += 1
            }
        }
        place += mark
        return String(decoding: bytes, as: UTF8.self)
    }

    private func skipBrackets(_ place: inout Int) {
        var depth = 0
        repeat {
            if text[place] == UInt8(ascii: "\"") {
                _ = literal(&place)
                continue
            }
            if text[place] == UInt8(ascii: "(") { depth += 1 }
            if text[place] == UInt8(ascii: ")") { depth -= 1 }
            place += 1
        } while depth > 0
    }

    private func skipComment(_ place: inout Int) -> Bool {
        guard text[place...].starts(with: "//".utf8) else { return false }
        while place < text.count, text[place] != UInt8(ascii: "\n") { place += 1 }
        return true
    }

    /// The name that ends before a place, and the word before it.
    private func word(endingAt end: Int) -> (name: String, before: String) {
        func isName(_ byte: UInt8) -> Bool { byte == UInt8(ascii: ".") || isalnum(Int32(byte)) != 0 }
        let start = text[..<end].lastIndex { !isName($0) }.map { $0 + 1 } ?? 0
        let before = text[..<start].dropLast().suffix(4)
        return (String(decoding: text[start..<end], as: UTF8.self), String(decoding: before, as: UTF8.self))
    }

    /// The name of the property or function whose body begins here; "" where it is another body.
    private func declared(before brace: Int) -> String {
        let lines = text[..<brace].suffix(200).split(separator: UInt8(ascii: "\n")).suffix(2)
        let words = lines.flatMap { String(decoding: $0, as: UTF8.self).split { !$0.isLetter }.map(String.init) }
        guard let keyword = words.lastIndex(where: { ["var", "func"].contains($0) }) else { return "" }
        return words.dropFirst(keyword + 1).first ?? ""
    }
}
