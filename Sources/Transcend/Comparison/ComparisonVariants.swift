import Diffusion
import Formats
import Foundation

/// The variants in a comparison's file, checked individually and against each other.
struct ComparisonVariants {
    let variants: [ComparisonConfiguration.Variant]

    /// The content of the file for one variant.
    private struct Draft {
        let name: String
        var leaves: [YAMLDocument.Leaf] = []

        func leaf(_ key: String) -> YAMLDocument.Leaf? { leaves.first { $0.key == "variants.\(name).\(key)" } }
    }

    /// Reads the variants; `leaves` are the values below "variants", and `base` is what all variants share. Throws a
    /// `ConfigurationError`.
    init(_ leaves: [YAMLDocument.Leaf], base: ConfigurationFile, of document: YAMLDocument) throws {
        let drafts = try Self.drafts(leaves, in: document)
        if let seed = base.settings.first(where: { $0.key == "seed" }) { throw Self.misplacedSeed(seed) }
        if let stage = base.stage {
            throw ConfigurationError("\(stage.origin): each variant names its own stage; leave it out here")
        }
        var said: [String: [Setting]] = [:]
        variants = try drafts.map { draft in
            let (variant, settings) = try Self.variant(draft, among: drafts, base: base, of: document)
            said[draft.name] = settings
            return variant
        }
        try checkTeachers(drafts, of: document)
        try checkEquality(said, of: document)
    }

    private static func drafts(_ leaves: [YAMLDocument.Leaf], in document: YAMLDocument) throws -> [Draft] {
        var drafts: [Draft] = []
        for leaf in leaves {
            let name = String(leaf.key.dropFirst("variants.".count).prefix { $0 != "." })
            let isName =
                !name.isEmpty && name.utf8.allSatisfy { "abcdefghijklmnopqrstuvwxyz0123456789-".utf8.contains($0) }
            guard isName else {
                throw ConfigurationError(
                    "\(document.origin(leaf)): the name of a variant has small letters, digits and dashes alone")
            }
            if drafts.last?.name != name { drafts.append(Draft(name: name)) }
            if leaf.key == "variants.\(name)", leaf.value == .null { continue }
            drafts[drafts.count - 1].leaves.append(leaf)
        }
        guard drafts.count >= 2 else {
            throw ConfigurationError("\(document.path): variants: give two or more, each as NAME: {stage: STAGE}")
        }
        return drafts
    }

    private static func variant(
        _ draft: Draft, among drafts: [Draft], base: ConfigurationFile, of document: YAMLDocument
    ) throws -> (ComparisonConfiguration.Variant, [Setting]) {
        let group = "variants.\(draft.name)"
        if let wrong = draft.leaves.first(where: { $0.key == group }) {
            throw ConfigurationError("\(document.origin(wrong)): this holds settings, each as key: value")
        }
        let method = try method(draft, in: document)
        let teacher = draft.leaf("teacher").flatMap { leaf in
            drafts.contains { $0.name == leaf.value.string } ? leaf.value.string : nil
        }
        let left = draft.leaves.filter { leaf in
            leaf.key != group + ".stage" && (teacher == nil || leaf.key != group + ".teacher")
        }
        let own = try ConfigurationFile(left, of: document, below: group + ".")
        if let stage = own.stage { throw ConfigurationError("\(stage.origin): give \(group).stage instead") }
        if let seed = own.settings.first(where: { $0.key == "seed" }) { throw misplacedSeed(seed) }
        let builder = ConfigurationBuilder(
            preset: own.preset ?? base.preset, reading: own.reading ?? base.reading, file: base,
            settings: own.settings, stageSettings: own.stageSettings)
        let configuration = try naming(group, in: document) { try builder.configuration(stage: method.name) }
        let variant = ComparisonConfiguration.Variant(
            name: draft.name, teacher: teacher, configuration: configuration)
        return (variant, own.settings + (own.stageSettings[method.name] ?? []))
    }

    /// Runs `body`; if an error has no position in the file, the variant is named in it.
    private static func naming<Result>(
        _ group: String, in document: YAMLDocument, _ body: () throws -> Result
    ) throws -> Result {
        do {
            return try body()
        } catch let error as ConfigurationError where !error.description.hasPrefix(document.path) {
            throw ConfigurationError("\(document.path): \(group): \(error)")
        }
    }

    private static func method(_ draft: Draft, in document: YAMLDocument) throws -> any Method.Type {
        let names = Methods.all.map { $0.name }
        guard let leaf = draft.leaf("stage") else {
            throw ConfigurationError(
                "\(document.path): variants.\(draft.name): give its stage: \(names.joined(separator: ", "))")
        }
        let word = leaf.value.string ?? leaf.value.text()
        if let method = Methods.named(word) { return method }
        let nearest = didYouMean(nearestName(to: word, among: names))
        throw ConfigurationError(
            "\(document.origin(leaf)): there is no stage \(word)\(nearest); choose from \(names.joined(separator: ", "))"
        )
    }

    private static func misplacedSeed(_ seed: Setting) -> ConfigurationError {
        ConfigurationError("\(seed.origin): all variants share the seeds; give them at the top, as seeds: [0, 1]")
    }

    // MARK: - Common checks

    /// Checks that variants have a teacher if, and only if, their method follows a network.
    private func checkTeachers(_ drafts: [Draft], of document: YAMLDocument) throws {
        for (draft, variant) in zip(drafts, variants) {
            let (name, method) = (variant.name, variant.configuration.method)
            let place = draft.leaf("teacher").map(document.origin) ?? "\(document.path): variants.\(name)"
            let hasTeacher = variant.teacher != nil || variant.configuration.teacher != nil
            guard (method.method.followedWeights != nil) == hasTeacher else {
                throw ConfigurationError(
                    hasTeacher
                        ? "\(place): \(method.name) follows no other network; leave teacher out"
                        : "\(place): \(method.name) follows a trained network; give its teacher, a variant or a path")
            }
            if variant.teacher == nil, let word = draft.leaf("teacher")?.value.string,
                let path = variant.configuration.teacher, !Checkpoint.exists(at: path),
                let nearest = nearestName(to: word, among: variants.map(\.name).filter { $0 != name })
            {
                throw ConfigurationError(
                    "\(place): \(word) is no variant and holds no checkpoint; did you mean \(nearest)?")
            }
            var seen = [name]
            var next = variant.teacher
            while let teacher = next {
                guard !seen.contains(teacher) else {
                    throw ConfigurationError(
                        "\(place): the variants \(seen.joined(separator: ", ")) wait for each other")
                }
                seen.append(teacher)
                next = variants.first { $0.name == teacher }?.teacher
            }
        }
    }

    /// Checks that variants differ only in their methods, so that differences in results are due to the methods.
    private func checkEquality(_ said: [String: [Setting]], of document: YAMLDocument) throws {
        let first = variants[0]
        let expected = try Self.shared(first.configuration)
        for variant in variants.dropFirst() {
            for ((key, value), (_, other)) in zip(try Self.shared(variant.configuration), expected)
            where value != other {
                let origin = [variant, first].lazy.compactMap { one in
                    said[one.name]?.last { $0.key == key }?.origin
                }.first
                throw ConfigurationError(
                    "\(origin ?? "\(document.path): variants.\(variant.name)"): \(key) is \(value.text()) in "
                        + "\(variant.name) and \(other.text()) in \(first.name); variants differ in stage, method and "
                        + "teacher alone, so give one value in base")
            }
        }
    }

    /// The settings that must not differ, in the order of the tree.
    private static func shared(_ configuration: TrainingConfiguration) throws -> [(key: String, value: JSONValue)] {
        ConfigurationTree.flattened(try ConfigurationTree.tree(of: configuration)).filter { key, _ in
            !key.hasPrefix("method.") && key != "teacher"
        }
    }
}
