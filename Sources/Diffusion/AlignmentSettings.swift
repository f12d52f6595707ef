import Models

/// The settings that all aligning methods share: the aligned block, the weight of the term and its time window.
public struct AlignmentSettings: Codable, Sendable, Equatable {
    /// The block that is aligned, counted from 1.
    public var studentDepth: Int
    /// The weight lambda of the term beside the denoising loss, until it changes.
    public var weight = 0.5
    /// The final value of the weight; nil if it stays constant.
    @Nullable public var finalWeight: Double?
    /// The step at which the weight begins to change, and the one at which `finalWeight` is reached; linear in between.
    public var weightChangeStart = 0, weightChangeEnd = 0
    /// The times t at which the term counts.
    public var window = TimeWindow(0.4, 0.7)
    /// How samples outside the window are treated; this differs between the readings.
    public var semantics: TimeWindow.Semantics
    /// The step, counted from 0, from which on the term is left out; nil for never.
    @Nullable public var stopStep: Int?
    /// The width of the head's hidden layers; nil for methods whose head has a fixed width, or that have no head.
    public var headWidth: Int?

    /// The settings of methods without a configurable head width.
    static let withoutHeadWidth = settings.filter { $0.key != "headWidth" }

    /// The descriptions of the settings.
    static let settings: [SettingDescription] = [
        SettingDescription(
            "studentDepth", .whole(1...Int.max), unit: "blocks", "Block that is aligned, counted from 1."),
        SettingDescription("weight", .number(NumberRange(0...)), "Weight of the term beside the denoising loss."),
        SettingDescription(
            "finalWeight", .optional(.number(NumberRange(0...))), "Weight at the end of its change; null: it stays."),
        SettingDescription(
            "weightChangeStart", .whole(0...Int.max), unit: "steps", "Step at which the weight begins to change."),
        SettingDescription(
            "weightChangeEnd", .whole(0...Int.max), unit: "steps",
            "Step at which finalWeight is reached; linear in between."),
        SettingDescription("window", .interval, unit: "t", "Times at which alignment counts."),
        SettingDescription(
            "semantics", .name(of: TimeWindow.Semantics.self),
            "Samples outside the window contribute nothing (the paper), or all are scaled by the share inside."),
        SettingDescription(
            "stopStep", .optional(.whole(0...Int.max)), unit: "steps",
            "Step from which the term is left out; null: never."),
        SettingDescription(
            "headWidth", .whole(1...1 << 20),
            "Hidden width of the head: 2048, below SiT-S 4 D."),
    ]

    /// Creates the defaults: head width 2048 as published for sizes S and above, 4 D for smaller networks.
    public init(studentDepth: Int, semantics: TimeWindow.Semantics, for network: SiTConfiguration) {
        self.studentDepth = studentDepth
        self.semantics = semantics
        headWidth = network.hidden >= 384 ? 2048 : 4 * network.hidden
    }

    /// Creates the settings of a method without a configurable head width, active at all times.
    init(withoutHeadWidthAt studentDepth: Int, weight: Double) {
        (self.studentDepth, self.weight, window, semantics) = (studentDepth, weight, .everywhere, .perSample)
    }

    /// The head width, for a method that has one.
    var width: Int {
        guard let headWidth else { preconditionFailure("the method has no choice of its head's width") }
        return headWidth
    }

    /// The weight of the term at a step.
    public func weight(at step: Int) -> Double {
        guard let finalWeight, step >= weightChangeStart else { return weight }
        if step >= weightChangeEnd { return finalWeight }
        let done = Double(step - weightChangeStart) / Double(weightChangeEnd - weightChangeStart)
        return weight + done * (finalWeight - weight)
    }

    /// Whether the term is left out at a step.
    public func hasStopped(at step: Int) -> Bool { step >= stopStep ?? .max }

    /// The share of samples, or of the work for them, that a training step computes.
    var computedShare: Double { semantics == .perSample ? window.high - window.low : 1 }

    /// The reason why the settings cannot be used with this network, in one sentence; nil if they can.
    func problem(for network: SiTConfiguration) -> String? {
        if studentDepth < 1 || studentDepth > network.depth {
            return blockProblem("student depth", studentDepth, of: network)
        }
        if weightChangeEnd < weightChangeStart {
            return
                "the weight cannot change from step \(weightChangeStart) to step \(weightChangeEnd); exchange the two"
        }
        if (finalWeight == nil) != (weightChangeEnd == 0) {
            return "a weight that changes has a finalWeight and a weightChangeEnd; give both, or neither"
        }
        return nil
    }
}

/// `sevenths` / 7 of the depth of a network, rounded; the published depths are for 28 blocks.
func share(_ sevenths: Int, of network: SiTConfiguration) -> Int { (sevenths * network.depth + 3) / 7 }

/// The sentence about a block that a network does not have.
func blockProblem(_ name: String, _ block: Int, of network: SiTConfiguration) -> String {
    "\(name) \(block) is no block of a network of \(network.depth); choose 1 to \(network.depth)"
}
