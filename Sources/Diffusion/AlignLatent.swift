import Models
import Torch

/// Stage 1 of Self-Transcendence: a shallow block, through a small head, must also predict the clean latent.
///
/// loss = denoising + weight * mean((head(f_k(x_t)) - target)^2) over t in a window (arXiv 2601.07773).
public struct AlignLatent: Method {
    public static let name = "align"
    /// The settings below `method.` of a configuration.
    public static let settings =
        AlignmentSettings.settings.map { $0.below("alignment") } + [
            SettingDescription("target", .name(of: Target.self), "What the head of stage 1 predicts.")
        ]

    /// The target of the head.
    public enum Target: String, Codable, Sendable, CaseIterable {
        /// The clean latent x0 (the paper).
        case latent
        /// The velocity (the published code).
        case velocity
    }

    /// The aligned block, its window and its weight.
    public var alignment: AlignmentSettings
    /// The target of the head; the clean latent in the paper's reading.
    public var target: Target

    public init(defaultsFor network: SiTConfiguration, reading: Reading) {
        alignment = AlignmentSettings(
            studentDepth: min(2, network.depth), semantics: reading.semantics, for: network)
        target = reading == .paper ? .latent : .velocity
    }

    public func problem(for network: SiTConfiguration) -> String? { alignment.problem(for: network) }

    public func objective(for network: SiTConfiguration, teacher: SiT?, on device: Device) -> any Objective {
        AlignLatentObjective(
            settings: self, head: LatentHead(network, width: alignment.width, on: device))
    }

    public func addedFLOPs(for network: SiTConfiguration) -> Double {
        let output = 2 * Double(network.tokens * network.hidden * network.patchValues)
        return 3 * alignment.computedShare * (projectorFLOPs(network, width: alignment.width) + output)
    }
}

private struct AlignLatentObjective: Objective {
    let settings: AlignLatent
    let head: LatentHead

    var featureDepths: Set<Int> { [settings.alignment.studentDepth] }
    var alignmentSettings: AlignmentSettings? { settings.alignment }

    func walk(_ visit: inout Walk) { visit("", head) }

    func alignment(_ features: [Int: Tensor], _ batch: NoisedBatch) -> Alignment {
        let tokens = features[settings.alignment.studentDepth]!
        let target = settings.target == .latent ? batch.clean : batch.velocity
        return Alignment(
            perSample: (head(tokens) - target).square().meanPerSample(), features: tokens, target: target)
    }
}

/// FLOPs of a projector D -> width -> width -> outputs (D by default) over the tokens of one image.
func projectorFLOPs(_ network: SiTConfiguration, width: Int, outputs: Int? = nil) -> Double {
    2 * Double(network.tokens) * Double((network.hidden + width + (outputs ?? network.hidden)) * width)
}
