import Models

/// Where and how strongly features are aligned: what all methods that align have in common.
public struct AlignmentSettings: Codable, Sendable, Equatable {
    /// The block that is aligned, counted from 1.
    public var studentDepth: Int
    /// Of the term beside the denoising loss (lambda).
    public var weight = 0.5
    /// The times at which the term counts, and what that means for samples at others.
    public var window = TimeWindow(0.4, 0.7)
    public var semantics: TimeWindow.Semantics
    /// From this step on (steps count from 0) the term is left out; nil: never.
    @Nullable public var stopStep: Int?
    /// Width of the head's hidden layers.
    public var headWidth: Int

    /// 2048 wide heads as published for sizes S and above, 4 D for smaller networks.
    public init(studentDepth: Int, semantics: TimeWindow.Semantics, for network: SiTConfiguration) {
        self.studentDepth = studentDepth
        self.semantics = semantics
        headWidth = network.hidden >= 384 ? 2048 : 4 * network.hidden
    }

    /// Whether the term is left out at a step.
    public func hasStopped(at step: Int) -> Bool { step >= stopStep ?? .max }

    /// The share of samples, or of the work for them, that a step of training computes.
    var computedShare: Double { semantics == .perSample ? window.high - window.low : 1 }

    /// What is impossible about the settings, in one sentence; nil if nothing is.
    func problem(for network: SiTConfiguration) -> String? {
        if studentDepth < 1 || studentDepth > network.depth {
            return blockProblem("student depth", studentDepth, of: network)
        }
        if !(window.low >= 0 && window.high <= 1 && window.low <= window.high) {
            return "the window [\(window.low), \(window.high)] must satisfy 0 <= low <= high <= 1"
        }
        if !(weight >= 0 && weight.isFinite) { return "the weight \(weight) of the alignment must be 0 or more" }
        if headWidth < 1 || headWidth > 1 << 20 { return "the head's width \(headWidth) must be 1 to \(1 << 20)" }
        if let stopStep, stopStep < 0 { return "the stop step \(stopStep) must be 0 or more" }
        return nil
    }
}

/// The sentence about a block that a network does not have.
func blockProblem(_ name: String, _ block: Int, of network: SiTConfiguration) -> String {
    "\(name) \(block) is no block of a network of \(network.depth); choose 1 to \(network.depth)"
}
