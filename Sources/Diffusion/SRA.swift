import Models
import Torch

/// SRA: a block predicts a deeper block of the EMA network, which sees the same image with less noise (arXiv
/// 2505.02831).
///
/// loss = denoising + weight * distance(head(f_student(x_t)), f_teacher(x_t')), t' = max(0, t - u t_max), u uniform in
/// [0, 1).
public struct SRA: Method {
    public static let name = "sra"
    /// The settings below `method.` of a configuration.
    public static let settings =
        AlignmentSettings.withoutHeadWidth.map { $0.below("alignment") } + [
            SettingDescription(
                "teacherDepth", .whole(1...Int.max), unit: "blocks", "Block of the teacher, counted from 1."),
            SettingDescription(
                "largestShift", .number(NumberRange(0...1)), unit: "t",
                "Largest amount by which the teacher's t lies below the student's."),
            SettingDescription(
                "measure", .name(of: Measure.self),
                "Distance of features: smooth L1 (the paper; weight 0.2), their cosine, or that over tokens (the code; 0.5)."
            ),
        ]

    /// The distance between the student's and the teacher's features.
    public enum Measure: String, Codable, Sendable, CaseIterable {
        /// Smooth L1 with beta 0.05 (the paper).
        case smoothL1 = "smooth-l1"
        /// 1 - cos over the features of a token, which its author has recommended since.
        case cosine
        /// 1 - cos over the tokens of a feature, which is what the published code computes.
        case cosineTokens = "cosine-tokens"
    }

    /// The aligned block, its window and its weight.
    public var alignment: AlignmentSettings
    /// The block of the EMA network, counted from 1.
    public var teacherDepth: Int
    /// The maximum amount t_max by which the teacher's t is below the student's.
    public var largestShift = 0.2
    /// The distance measure: smooth-l1 in the paper's reading, cosine-tokens in the published code's.
    public var measure: Measure

    /// Creates the defaults: blocks 8 and 20 of 28, otherwise in proportion to the depth; weight 0.2 with the paper's
    /// measure, 0.5 with the published code's; at all times. (The published code decays the weight of smooth L1 after
    /// 149 epochs, tenfold in 1,000.)
    public init(defaultsFor network: SiTConfiguration, reading: Reading) {
        measure = reading == .paper ? .smoothL1 : .cosineTokens
        alignment = AlignmentSettings(
            withoutHeadWidthAt: max(1, share(2, of: network)), weight: measure == .smoothL1 ? 0.2 : 0.5)
        teacherDepth = min(network.depth, max(alignment.studentDepth + 1, share(5, of: network)))
    }

    public var follows: FollowedNetwork { .average }

    public func problem(for network: SiTConfiguration) -> String? {
        if teacherDepth > network.depth { return blockProblem("teacher depth", teacherDepth, of: network) }
        return alignment.problem(for: network)
    }

    public func objective(for network: SiTConfiguration, teacher: SiT?, on device: Device) -> any Objective {
        SRAObjective(settings: self, head: SRAHead(network.hidden, on: device), teacher: teacher)
    }

    public func addedFLOPs(for network: SiTConfiguration) -> Double {
        let head = 8 * Double(network.tokens * network.hidden * network.hidden)
        return alignment.computedShare * (3 * head + network.forwardFLOPs(blocks: teacherDepth))
    }
}

private struct SRAObjective: Objective {
    let settings: SRA
    let head: SRAHead
    /// The teacher; nil once it has been released at the stop step.
    let teacher: SiT?

    var featureDepths: Set<Int> { [settings.alignment.studentDepth] }
    var alignmentSettings: AlignmentSettings? { settings.alignment }

    func walk(_ visit: inout Walk) { visit("ap_head", head) }

    func alignment(_ features: [Int: Tensor], _ batch: NoisedBatch) -> Alignment {
        guard let teacher else { preconditionFailure("the teacher was released before the alignment ended") }
        let tokens = features[settings.alignment.studentDepth]!
        let source = batch.source
        let target = withoutGradients {
            let times = zip(source.times, source.uniforms).map { max(0, $0 - Float(settings.largestShift) * $1) }
            let earlier = source.at(times).noised(along: batch.path)
            let output = teacher(
                earlier.input, earlier.t, source.seenLabels, features: [settings.teacherDepth],
                stopAfter: settings.teacherDepth)
            return output.features[settings.teacherDepth]!
        }
        let predicted = head(tokens)
        let distance =
            switch settings.measure {
            case .smoothL1: predicted.smoothL1(to: target, beta: 0.05)
            case .cosine: 1 - predicted.cosine(to: target)
            case .cosineTokens: 1 - predicted.cosine(to: target, axis: 1)
            }
        return Alignment(perSample: distance, features: tokens, target: target)
    }

    func withoutAlignment() -> any Objective { SRAObjective(settings: settings, head: head, teacher: nil) }
}
