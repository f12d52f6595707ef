import Models
import Torch

/// LayerSync: aligns the direction of a block's features with that of a deeper block of the same pass (arXiv
/// 2510.12581).
///
/// loss = denoising - weight * mean(cos(f_student(x_t), stopgrad f_deep(x_t))). It has no head and no teacher.
public struct LayerSync: Method {
    public static let name = "layersync"
    /// The settings below `method.` of a configuration.
    public static let settings =
        AlignmentSettings.withoutHeadWidth.map { $0.below("alignment") } + [
            SettingDescription(
                "deepDepth", .whole(1...Int.max), unit: "blocks", "Block that is followed, counted from 1.")
        ]

    /// The aligned block, its window and its weight.
    public var alignment: AlignmentSettings
    /// The deeper block that is followed, counted from 1.
    public var deepDepth: Int

    /// Creates the defaults: blocks 8 and 16 of 24 and 28 as published, otherwise in proportion to the depth; weight
    /// 0.2, at all times.
    public init(defaultsFor network: SiTConfiguration, reading: Reading) {
        let isLarge = network.depth == 24
        alignment = AlignmentSettings(
            withoutHeadWidthAt: isLarge ? 8 : max(1, share(2, of: network)), weight: 0.2)
        deepDepth = isLarge ? 16 : max(alignment.studentDepth + 1, share(4, of: network))
    }

    public func problem(for network: SiTConfiguration) -> String? {
        if deepDepth > network.depth { return blockProblem("deep depth", deepDepth, of: network) }
        if deepDepth <= alignment.studentDepth {
            return "block \(alignment.studentDepth) cannot follow block \(deepDepth); give a deeper one"
        }
        return alignment.problem(for: network)
    }

    public func objective(for network: SiTConfiguration, teacher: SiT?, on device: Device) -> any Objective {
        LayerSyncObjective(settings: self)
    }

    public func addedFLOPs(for network: SiTConfiguration) -> Double { 0 }
}

private struct LayerSyncObjective: Objective {
    let settings: LayerSync

    var featureDepths: Set<Int> { [settings.alignment.studentDepth, settings.deepDepth] }
    var alignmentSettings: AlignmentSettings? { settings.alignment }

    func walk(_ visit: inout Walk) {}

    func alignment(_ features: [Int: Tensor], _ batch: NoisedBatch) -> Alignment {
        let tokens = features[settings.alignment.studentDepth]!
        let target = features[settings.deepDepth]!.detached()
        return Alignment(perSample: -tokens.cosine(to: target), features: tokens, target: target)
    }
}
