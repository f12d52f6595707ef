import Models
import Torch

/// Stage 2 of Self-Transcendence: an earlier block must predict the deeper features of the frozen stage-1 network,
/// amplified toward the class.
///
/// loss = denoising + weight * mean((MLP(f_student(x_t)) - [f_u + w (f_c - f_u)])^2) over t in a window, until a stop
/// step (arXiv 2601.07773). The teacher sees the same x_t and t, the true label and the null label.
public struct SelfGuided: Method {
    public static let name = "selfguided"
    /// The settings below `method.` of a configuration.
    public static let settings =
        AlignmentSettings.settings.map { $0.below("alignment") } + [
            SettingDescription(
                "teacherDepth", .whole(1...Int.max), unit: "blocks", "Block of the teacher, counted from 1."),
            SettingDescription("guidanceScale", .number(.any), "Amplification w of the features."),
            SettingDescription(
                "teacherWeights", .name(of: NetworkWeights.self),
                "Weights of the teacher: as the optimiser left them, or averaged."),
        ]

    /// The student's aligned block, its window and its weight.
    public var alignment: AlignmentSettings
    /// The teacher's block that is followed, counted from 1.
    public var teacherDepth: Int
    /// The feature guidance scale w, which amplifies the direction of the class in feature space.
    public var guidanceScale = 30.0
    /// The teacher's weights: raw, as the optimiser left them (as published), or the EMA.
    public var teacherWeights = NetworkWeights.raw

    public var follows: FollowedNetwork { .trained(teacherWeights) }
    public var asksNullClass: Bool { guidanceScale != 1 }

    /// Creates the defaults: blocks 6 and 8 of 12, 8 and 16 of 24 and 28 as published; otherwise about 1/2 and 2/3.
    public init(defaultsFor network: SiTConfiguration, reading: Reading) {
        let (student, teacher) =
            switch network.depth {
            case 12: (6, 8)
            case 24, 28: (8, 16)
            default: (max(1, network.depth / 2), max(1, (2 * network.depth + 1) / 3))
            }
        alignment = AlignmentSettings(studentDepth: student, semantics: reading.semantics, for: network)
        teacherDepth = teacher
    }

    public func problem(for network: SiTConfiguration) -> String? {
        if teacherDepth < 1 || teacherDepth > network.depth {
            return blockProblem("teacher depth", teacherDepth, of: network)
        }
        return alignment.problem(for: network)
    }

    public func objective(for network: SiTConfiguration, teacher: SiT?, on device: Device) -> any Objective {
        SelfGuidedObjective(
            settings: self,
            head: Projector(network.hidden, width: alignment.width, outputs: network.hidden, on: device),
            teacher: teacher)
    }

    public func addedFLOPs(for network: SiTConfiguration) -> Double {
        let teacher = 2 * network.forwardFLOPs(blocks: teacherDepth)
        return alignment.computedShare * (3 * projectorFLOPs(network, width: alignment.width) + teacher)
    }
}

private struct SelfGuidedObjective: Objective {
    let settings: SelfGuided
    let head: Projector
    /// The teacher; nil once it has been released at the stop step.
    let teacher: SiT?

    var featureDepths: Set<Int> { [settings.alignment.studentDepth] }
    var alignmentSettings: AlignmentSettings? { settings.alignment }

    func walk(_ visit: inout Walk) { visit("projectors", head) }

    func alignment(_ features: [Int: Tensor], _ batch: NoisedBatch) -> Alignment {
        guard let teacher else { preconditionFailure("the teacher was released before the alignment ended") }
        let tokens = features[settings.alignment.studentDepth]!
        let target = BlockFeatures.guided(
            of: teacher, batch, depths: [settings.teacherDepth], scale: settings.guidanceScale)[0]
        return Alignment(
            perSample: (head(tokens) - target).square().meanPerSample(), features: tokens, target: target)
    }

    func withoutAlignment() -> any Objective { SelfGuidedObjective(settings: settings, head: head, teacher: nil) }
}
