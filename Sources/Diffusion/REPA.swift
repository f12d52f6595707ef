import Models
import Torch

/// REPA: aligns the direction of a block's features with those of pretrained encoders that see the clean picture (arXiv
/// 2410.06940).
///
/// loss = denoising - weight * mean(cos(head_e(f_student(x_t)), features_e(x_0))) over tokens and encoders e.
public struct REPA: FollowsEncoders {
    public static let name = "repa"
    /// The settings below `method.` of a configuration.
    public static let settings =
        AlignmentSettings.settings.map { $0.below("alignment") } + TargetSettings.settings.map { $0.below("targets") }

    /// The aligned block, its window and its weight.
    public var alignment: AlignmentSettings
    /// The encoders whose features are followed.
    public var targets = TargetSettings()

    /// Creates the defaults: block 8 of 24 and 28 as published, otherwise at one third of the depth; weight 0.5, at all
    /// times.
    public init(defaultsFor network: SiTConfiguration, reading: Reading) {
        let depth = network.depth >= 24 ? 8 : max(1, network.depth / 3)
        alignment = AlignmentSettings(studentDepth: depth, semantics: .perSample, for: network)
        alignment.window = .everywhere
    }

    public func problem(for network: SiTConfiguration) -> String? { alignment.problem(for: network) }

    public func objective(for network: SiTConfiguration, teacher: SiT?, on device: Device) -> any Objective {
        let heads = targets.widths.map {
            Projector(network.hidden, width: alignment.width, outputs: $0, on: device)
        }
        return REPAObjective(settings: alignment, heads: heads)
    }

    /// The FLOPs of the heads; an encoder that computes features during training adds its own cost.
    public func addedFLOPs(for network: SiTConfiguration) -> Double {
        let heads = targets.widths.map { projectorFLOPs(network, width: alignment.width, outputs: $0) }
        return 3 * alignment.computedShare * heads.reduce(0, +)
    }
}

private struct REPAObjective: Objective {
    let settings: AlignmentSettings
    /// One head for each encoder.
    let heads: [Projector]

    var featureDepths: Set<Int> { [settings.studentDepth] }
    var alignmentSettings: AlignmentSettings? { settings }

    func walk(_ visit: inout Walk) { visit("projectors", heads) }

    func alignment(_ features: [Int: Tensor], _ batch: NoisedBatch) -> Alignment {
        precondition(batch.targets.count == heads.count && !heads.isEmpty, "each head follows an encoder")
        let tokens = features[settings.studentDepth]!
        let targets = withoutGradients { batch.targets.map { $0.resampledFeatures(tokens: tokens.size(1)) } }
        let cosines = zip(heads, targets).map { head, target in head(tokens).cosine(to: target) }
        return Alignment(
            perSample: -Tensor.stack(cosines).mean([0]), features: tokens,
            target: targets.count == 1 ? targets[0] : .concatenate(targets, axis: 2))
    }
}
