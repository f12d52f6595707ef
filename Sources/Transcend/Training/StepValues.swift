import Torch

/// What is told of a step.
extension StepReport {
    /// The values of a progress line.
    var headline: [(name: String, value: Double)] {
        [("loss", denoisingLoss)] + (alignmentLoss.map { [("align", $0)] } ?? [])
    }

    /// The values of a line of `metrics.jsonl`.
    func values(imagesPerSecond: Double?, skips: SkippedSteps) -> [(name: String, value: Double)] {
        let optional: [(String, Double?)] = [
            ("alignmentLoss", alignmentLoss), ("featureNorm", featureNorm), ("targetNorm", targetNorm),
            ("imagesPerSecond", imagesPerSecond), ("skippedSteps", skips.total > 0 ? Double(skips.total) : nil),
        ]
        let always = [
            ("denoisingLoss", denoisingLoss), ("gradientNorm", gradientNorm), ("learningRate", learningRate),
            ("residentBytes", Double(ProcessMemory.residentBytes)), ("liveTensors", Double(Tensor.liveHandles)),
        ]
        return always + optional.compactMap { name, value in value.map { (name, $0) } }
    }
}
