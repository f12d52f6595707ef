import Formats
import Foundation

/// The variants of one training run that are compared: the file that `transcend compare` reads.
///
///     base: {preset: demo, steps: 3000}
///     seeds: [0, 1]
///     variants:
///       plain: {stage: plain}
///       align: {stage: align}
///       self-transcendence: {stage: selfguided, teacher: align}
///     evaluation: {extractor: features.pt, every: 500}
///
/// `base` holds what a file for `train` may hold, `variants` the differences of each variant; relative paths are
/// relative to the file's folder.
public struct ComparisonConfiguration: Sendable {
    /// One variant.
    public struct Variant: Sendable {
        /// The name, of lower-case letters, digits and dashes.
        public let name: String
        /// The variant whose run with the same seed is this one's teacher; nil for none of them.
        public let teacher: String?
        /// The configuration, complete and checked except for the seed and a teacher among the variants.
        public let configuration: TrainingConfiguration
    }

    /// The path of the file.
    public let path: String
    /// The seeds with which each variant is trained.
    public let seeds: [UInt64]
    /// The variants, two or more, in the order of the file.
    public let variants: [Variant]
    /// The evaluation protocol of all variants.
    public let evaluation: ComparisonEvaluation

    /// Reads a file and checks all variants. Throws a `ConfigurationError` with the position of the first problem, or
    /// an error if the file cannot be read.
    public init(path: String) throws {
        let document = try YAMLDocument(path: path)
        let parts = try Self.parts(of: document)
        self.path = path
        seeds = try Self.seeds(parts["seeds"] ?? [], in: document)
        let base = try ConfigurationFile(
            Self.group("base", parts["base"] ?? [], in: document), of: document, below: "base.")
        let drafts = try ComparisonVariants(
            Self.group("variants", parts["variants"] ?? [], in: document), base: base, of: document)
        let first = drafts.variants[0].configuration
        let measured = try Self.group("evaluation", parts["evaluation"] ?? [], in: document)
        let evaluation = try ComparisonEvaluation(measured, of: document, training: first)
        variants = drafts.variants.map { variant in
            var configuration = variant.configuration
            // Checkpoints to be measured must be kept.
            configuration.output.keepEvery = evaluation.every
            if !evaluation.every.isMultiple(of: configuration.output.checkpointEvery) {
                configuration.output.checkpointEvery = evaluation.every
            }
            return Variant(name: variant.name, teacher: variant.teacher, configuration: configuration)
        }
        self.evaluation = evaluation
    }

    /// The index of the variant with which the others are compared: the first one with plain training, otherwise the
    /// first.
    public var baseline: Int { variants.firstIndex { $0.configuration.method.name == "plain" } ?? 0 }

    /// The indices of the variants, each after its teacher.
    public var order: [Int] {
        var done: [Int] = []
        while done.count < variants.count {
            let next = variants.indices.filter { index in
                !done.contains(index)
                    && (variants[index].teacher.map { name in done.contains { variants[$0].name == name } } ?? true)
            }
            done += next
        }
        return done
    }

    /// The training configuration of a variant. A teacher among the variants is the last checkpoint of its run with the
    /// same seed, as a relative path, so that the folder can be moved.
    public func training(of variant: Int, seed: UInt64) -> TrainingConfiguration {
        var configuration = variants[variant].configuration
        configuration.seed = seed
        if let teacher = variants[variant].teacher {
            configuration.teacher = "../\(teacher)/checkpoints/" + CheckpointName.of(step: configuration.steps)
        }
        return configuration
    }

    // MARK: - Reading

    private static let groups = ["base", "seeds", "variants", "evaluation"]

    /// The values below each group.
    private static func parts(of document: YAMLDocument) throws -> [String: [YAMLDocument.Leaf]] {
        var parts: [String: [YAMLDocument.Leaf]] = [:]
        for leaf in document.leaves {
            let name = leaf.key.prefix { $0 != "." }
            guard groups.contains(String(name)) else {
                let isSetting = SettingsTable.all.contains { $0.key == leaf.key } || leaf.key == "preset"
                let nearest = isSetting ? "base.\(leaf.key)" : nearestName(to: String(name), among: groups)
                throw ConfigurationError(
                    "\(document.origin(leaf)): a comparison has no such key\(didYouMean(nearest))")
            }
            parts[String(name), default: []].append(leaf)
        }
        return parts
    }

    /// The values of a group with keys of its own.
    private static func group(
        _ name: String, _ leaves: [YAMLDocument.Leaf], in document: YAMLDocument
    ) throws -> [YAMLDocument.Leaf] {
        guard let alone = leaves.first(where: { $0.key == name }) else { return leaves }
        guard alone.value == .null else {
            throw ConfigurationError("\(document.origin(alone)): this holds settings, each as key: value")
        }
        return []
    }

    private static func seeds(_ leaves: [YAMLDocument.Leaf], in document: YAMLDocument) throws -> [UInt64] {
        guard let leaf = leaves.first else { return [0] }
        let seeds = leaf.value.elements?.compactMap { $0.int }.filter { $0 >= 0 }.map { UInt64($0) } ?? []
        guard leaf.key == "seeds", !seeds.isEmpty, seeds.count == leaf.value.elements?.count,
            Set(seeds).count == seeds.count
        else { throw ConfigurationError("\(document.origin(leaf)): give different whole numbers, such as [0, 1]") }
        return seeds
    }
}
