import Foundation
import Torch

/// The Inception Score (Salimans et al. 2016): the mean over splits of exp(mean over x of KL(p(y|x) || p(y))).
public enum InceptionScore {
    /// The number of images in a split, as in ADM.
    public static let split = 5000

    /// The score of logits [N, K], in float64; p(y) is the mean of p(y|x) in a split. The last split may be shorter and
    /// counts as much as the others. Between 1 and K. Throws an `EvaluationError` if there are no images or a logit is
    /// not finite.
    public static func of(logits: Tensor, split: Int = split) throws -> Double {
        let count = logits.size(0)
        guard count > 0 else { throw EvaluationError("no images have no Inception Score; give some") }
        guard logits.isFinite else { throw EvaluationError("a logit of the classifier is not a finite number") }
        let scores = stride(from: 0, to: count, by: split).map { start in
            let logP = logits[start..<min(start + split, count)].to(.cpu).to(.F64).logSoftmax()
            let p = logP.exp()
            // Where p underflows, its logarithm is large but finite, and contributes nothing.
            let whole = p.mean([0]).clamped(Double.leastNormalMagnitude, 1).log()
            return exp((p * (logP - whole)).sum([1]).mean().item())
        }
        return scores.reduce(0, +) / Double(scores.count)
    }
}
