import Diffusion
import Formats

/// A named starting point: values of settings, for all stages and for some of them.
public struct Preset: Sendable {
    /// The name for `--preset`.
    public let name: String
    /// A phrase about its purpose, for `--help`.
    public let summary: String
    let common: [Setting]
    /// The settings by the method of a stage.
    let stages: [String: [Setting]]

    /// The preset with this name. Throws an error that begins with `origin`, which says how the user gave it.
    public static func named(_ name: String, origin: String? = nil) throws -> Preset {
        if let preset = all.first(where: { $0.name == name }) { return preset }
        let names = all.map(\.name)
        let nearest = didYouMean(nearestName(to: name, among: names))
        throw ConfigurationError(
            "\(origin ?? "--preset \(name)"): there is no such preset\(nearest); choose from \(names.joined(separator: ", "))"
        )
    }

    /// The settings of one stage, in the order in which they apply.
    func settings(stage: String) -> [Setting] { common + (stages[stage] ?? []) }
}

extension Preset {
    /// All presets, in the order in which `--help` lists them.
    public static let all: [Preset] =
        [
            Preset(
                name: "demo", summary: "embedded pictures, 24 x 24, minutes on a laptop CPU",
                common: network(side: 24, patch: 4, channels: 3, hidden: 128, depth: 6, heads: 4, classes: 10) + [
                    Setting("network.qkNorm", true), Setting("batch", 16), Setting("schedule.learningRate", 0.002),
                    Setting("schedule.warmupSteps", 100), Setting("schedule.decay", "cosine"),
                    Setting("optimizer.adamW.beta2", 0.95), Setting("optimizer.emaDecay", 0.99),
                    Setting("output.checkpointEvery", 500), Setting("output.sampleEvery", 800),
                    Setting("method.alignment.headWidth", 256), Setting("steps", 4400),
                ],
                stages: [
                    AlignLatent.name: [Setting("steps", 1600), Setting("method.alignment.studentDepth", 2)],
                    SelfGuided.name: [
                        Setting("method.alignment.studentDepth", 3),
                        Setting("method.teacherDepth", 4), Setting("method.guidanceScale", 3),
                    ],
                ]),
            Preset(
                name: "cifar10", summary: "CIFAR-10 in pixels, sized for a CPU; needs --data",
                common: network(side: 32, patch: 4, channels: 3, hidden: 160, depth: 6, heads: 5, classes: 10) + [
                    Setting("network.qkNorm", true), Setting("batch", 32), Setting("schedule.learningRate", 0.0015),
                    Setting("schedule.warmupSteps", 200), Setting("schedule.decay", "cosine"),
                    Setting("optimizer.adamW.beta2", 0.95), Setting("optimizer.emaDecay", 0.998),
                    Setting("output.checkpointEvery", 500), Setting("output.sampleEvery", 1000),
                    Setting("data.flips", true), Setting("data.source", ""), Setting("steps", 6000),
                ],
                stages: [
                    AlignLatent.name: [Setting("steps", 1800), Setting("method.alignment.studentDepth", 2)],
                    SelfGuided.name: [
                        Setting("method.alignment.studentDepth", 3),
                        Setting("method.teacherDepth", 4), Setting("method.guidanceScale", 3),
                    ],
                ]),
        ]
        + [
            // Channels, patch, hidden, depth, heads, batch. A token must carry the noise of its whole patch, so the
            // hidden size is larger than channels * patch * patch.
            ("latents-sd", "Stable Diffusion's autoencoder", 4, 4, 256, 8, 4, 32),
            ("latents-taef2", "TAEF2", 32, 2, 192, 6, 3, 16),
        ].map { name, autoencoder, channels, patch, hidden, depth, heads, batch in
            Preset(
                name: name, summary: "latents of \(autoencoder) at 256 x 256, sized for a CPU; needs --data",
                common: network(
                    side: 32, patch: patch, channels: channels, hidden: hidden, depth: depth, heads: heads,
                    classes: 1000)
                    + [
                        Setting("network.qkNorm", true), Setting("batch", .int(batch)),
                        Setting("schedule.learningRate", 0.001), Setting("schedule.warmupSteps", 200),
                        Setting("schedule.decay", "cosine"), Setting("optimizer.adamW.beta2", 0.95),
                        Setting("optimizer.emaDecay", 0.998), Setting("output.checkpointEvery", 500),
                        Setting("output.sampleEvery", 1000), Setting("data.source", ""), Setting("steps", 6000),
                    ],
                stages: [
                    AlignLatent.name: [Setting("steps", 2000), Setting("method.alignment.studentDepth", 2)],
                    SelfGuided.name: [
                        Setting("method.alignment.studentDepth", .int(depth / 2)),
                        Setting("method.teacherDepth", .int(depth / 2 + 1)), Setting("method.guidanceScale", 3),
                    ],
                ])
        }
        + [
            // Size, depth, hidden, heads; the settings of both stages are in the table of published settings in
            // docs/method.md.
            ("s", 12, 384, 6), ("b", 12, 768, 12), ("l", 24, 1024, 16), ("xl", 28, 1152, 16),
        ].map { size, depth, hidden, heads in
            Preset(
                name: "imagenet256-\(size)",
                summary: "SiT-\(size.uppercased())/2 on latents of ImageNet at 256 x 256, as published",
                common: network(
                    side: 32, patch: 2, channels: 4, hidden: hidden, depth: depth, heads: heads, classes: 1000)
                    + [Setting("network.qkNorm", true), Setting("data.source", "")],
                stages: [
                    AlignLatent.name: [Setting("steps", 200_000)],
                    SelfGuided.name: [Setting("steps", size == "xl" ? 2_000_000 : 400_000)],
                ])
        }

    private static func network(
        side: Int64, patch: Int64, channels: Int64, hidden: Int64, depth: Int64, heads: Int64, classes: Int64
    ) -> [Setting] {
        [
            Setting("network.inputSize", .int(side)), Setting("network.patchSize", .int(patch)),
            Setting("network.channels", .int(channels)), Setting("network.hidden", .int(hidden)),
            Setting("network.depth", .int(depth)), Setting("network.heads", .int(heads)),
            Setting("network.classes", .int(classes)),
        ]
    }
}
