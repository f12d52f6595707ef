import Models
import Torch

/// Stage 1 of Self-Transcendence: a shallow block, through a small head, must also predict the clean latent.
///
/// loss = denoising + weight * mean((head(f_k(x_t)) - target)^2) over t in a window (arXiv 2601.07773).
public struct AlignLatent: Method {
    public static let name = "align"
    public static let needsTeacher = false

    /// What the head predicts.
    public enum Target: String, Codable, Sendable, CaseIterable {
        /// The clean x0 (the paper).
        case latent
        /// The velocity (the published code).
        case velocity
    }

    /// The block that is aligned, counted from 1.
    public var studentDepth: Int
    public var weight = 0.5
    public var window = TimeWindow(0.4, 0.7)
    public var semantics: TimeWindow.Semantics
    @Nullable public var stopStep: Int?
    public var headWidth: Int
    public var target: Target

    public init(defaultsFor network: SiTConfiguration, reading: Reading) {
        studentDepth = min(2, network.depth)
        semantics = reading.semantics
        headWidth = defaultHeadWidth(for: network)
        target = reading == .paper ? .latent : .velocity
    }

    public func problem(for network: SiTConfiguration) -> String? {
        alignmentProblem(
            depth: ("student depth", studentDepth), of: network, weight: weight, window: window, stopStep: stopStep,
            headWidth: headWidth)
    }

    public func objective(for network: SiTConfiguration, teacher: SiT?, on device: Device) -> any Objective {
        AlignLatentObjective(
            settings: self, head: LatentHead(network, width: headWidth, on: device))
    }

    public func addedFLOPs(for network: SiTConfiguration) -> Double {
        let share = semantics == .perSample ? window.high - window.low : 1
        let output = 2 * Double(network.tokens * network.hidden * network.patchValues)
        return 3 * share * (projectorFLOPs(network, width: headWidth) + output)
    }
}

private struct AlignLatentObjective: Objective {
    let settings: AlignLatent
    let head: LatentHead

    var featureDepths: Set<Int> { [settings.studentDepth] }
    var alignmentTerm: AlignmentTerm? {
        AlignmentTerm(
            weight: settings.weight, window: settings.window, semantics: settings.semantics,
            stopStep: settings.stopStep)
    }

    func walk(_ visit: inout Walk) { visit("", head) }

    func alignment(_ features: [Int: Tensor], _ batch: NoisedBatch) -> Alignment {
        let tokens = features[settings.studentDepth]!
        let target = settings.target == .latent ? batch.clean : batch.velocity
        return Alignment(
            perSample: (head(tokens) - target).square().meanPerSample(), features: tokens, target: target)
    }
}

/// 2048 as published for sizes S and above, 4 D for smaller networks.
func defaultHeadWidth(for network: SiTConfiguration) -> Int { network.hidden >= 384 ? 2048 : 4 * network.hidden }

/// FLOPs of a projector D -> width -> width -> D over the tokens of one image.
func projectorFLOPs(_ network: SiTConfiguration, width: Int) -> Double {
    2 * Double(network.tokens) * Double(2 * network.hidden * width + width * width)
}
