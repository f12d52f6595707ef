import Diffusion
import Formats
import Foundation

/// The evaluation protocol of a comparison, the same for all its runs.
public struct ComparisonEvaluation: Sendable {
    /// The linear probes of the last checkpoints.
    public struct Probes: Sendable {
        /// The number of images for fitting and testing.
        public var count = 2_000
        /// The times t, from 0 (clean) to 1 (noise).
        public var times = [0.2, 0.5]
    }

    /// The file of the extractor for the distances.
    public let extractor: String
    /// The reference; nil for the data of the runs.
    public let reference: String?
    /// The number of samples drawn from each checkpoint.
    public let count: Int
    /// The interval in steps between measured checkpoints; the last one is always measured.
    public let every: Int
    /// The labels, as in `SampleLabels`.
    public let labels: [String]
    /// The sampler.
    public let sampler: Sampler
    /// The probes; nil for none.
    public let probes: Probes?

    /// The single-valued settings below "evaluation"; those of the sampler are the same as for previews.
    private static let settings: [SettingDescription] =
        [
            SettingDescription("extractor", .path(or: []), "Features that distances are measured by."),
            SettingDescription("reference", .optional(.path(or: [])), "What samples are measured against."),
            SettingDescription("count", .whole(2...1_000_000), "Samples of each checkpoint."),
            SettingDescription(
                "every", .whole(1...TrainingConfiguration.largestStep), "Steps between checkpoints that are measured."),
            SettingDescription("probes.count", .whole(10...1_000_000), "Images of linear probes."),
        ]
        + SettingsTable.common.filter { $0.key.hasPrefix("preview.sampler.") }.map { setting in
            var moved = setting
            moved.key = String(setting.key.dropFirst("preview.".count))
            return moved
        }
    private static let lists = ["labels", "probes.times"]

    /// Reads the values below "evaluation"; missing ones come from `training`. Throws a `ConfigurationError`.
    init(_ leaves: [YAMLDocument.Leaf], of document: YAMLDocument, training: TrainingConfiguration) throws {
        var said: [String: JSONValue] = [:]
        var tree = try ConfigurationTree.tree(of: training)
        var labels = ["balanced"]
        var probes: Probes?
        for leaf in leaves {
            let (key, origin) = (String(leaf.key.dropFirst("evaluation.".count)), document.origin(leaf))
            if key == "labels" {
                labels = try Self.labels(leaf.value, origin)
            } else if key == "probes.times" {
                probes = probes ?? Probes()
                probes?.times = try Self.times(leaf.value, origin)
            } else if key == "probes", leaf.value == .null {
                probes = Probes()
            } else {
                let value = try Self.setting(key, origin).checked(leaf.value, origin: origin)
                said[key] = value
                if key.hasPrefix("sampler.") {
                    tree = ConfigurationTree.replacing("preview." + key, by: value, in: tree)
                } else if key == "probes.count", let count = value.int {
                    probes = probes ?? Probes()
                    probes?.count = count
                }
            }
        }
        guard let extractor = said["extractor"]?.string, !extractor.isEmpty else {
            throw ConfigurationError(
                "\(document.path): evaluation.extractor: give the features to measure by, such as a file of fit-extractor"
            )
        }
        self.extractor = extractor.relative(to: document.folder)
        reference = said["reference"]?.string.map { $0.relative(to: document.folder) }
        count = said["count"]?.int ?? 2_000
        every = min(said["every"]?.int ?? training.output.checkpointEvery, training.steps)
        (self.labels, self.probes) = (labels, probes)
        sampler = try ConfigurationTree.decode(TrainingConfiguration.self, from: tree).preview.sampler
        if let problem = sampler.problem {
            throw ConfigurationError("\(document.path): evaluation.sampler: \(problem)")
        }
        if let channels = sampler.guidance.channels, channels > training.network.channels {
            throw ConfigurationError(
                "\(document.path): evaluation.sampler.guidance.channels: the network has \(training.network.channels)")
        }
    }

    private static func setting(_ key: String, _ origin: String) throws -> SettingDescription {
        if let setting = settings.first(where: { $0.key == key }) { return setting }
        let keys = settings.map(\.key) + lists
        if keys.contains(where: { $0.hasPrefix(key + ".") }) {
            throw ConfigurationError("\(origin): this holds settings; give one of them")
        }
        let nearest = didYouMean(nearestKey(to: key, among: keys).map { "evaluation.\($0)" })
        throw ConfigurationError("\(origin): there is no such setting\(nearest)")
    }

    /// Classes by name or index, or one of the words for all.
    private static func labels(_ value: JSONValue, _ origin: String) throws -> [String] {
        let words = value.elements?.compactMap { $0.string ?? $0.int.map(String.init) } ?? []
        guard !words.isEmpty, words.count == value.elements?.count else {
            throw ConfigurationError("\(origin): give classes by name or number, or [balanced] or [random]")
        }
        return words
    }

    private static func times(_ value: JSONValue, _ origin: String) throws -> [Double] {
        let times = value.elements?.compactMap(\.double).filter { (0...1).contains($0) } ?? []
        guard !times.isEmpty, times.count == value.elements?.count else {
            throw ConfigurationError("\(origin): give times from 0 (clean) to 1 (noise), such as [0.2, 0.5]")
        }
        return times
    }

    /// The settings for sampling on a device.
    func sampling(on device: String) -> SamplingSettings {
        var settings = SamplingSettings()
        (settings.sampler, settings.device) = (sampler, device)
        return settings
    }
}
