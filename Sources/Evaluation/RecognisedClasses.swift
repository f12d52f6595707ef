import Torch

/// How well a classifier recognises pictures that were made for known classes.
public struct RecognisedClasses: Sendable, Equatable {
    /// The share of its pictures from which on a class counts as recognised.
    public static let share = 0.7

    /// The share of all pictures whose largest logit is that of their class.
    public let accuracy: Double
    /// Classes of which at least `share` of the pictures are recognised.
    public let recognised: Int
    /// Classes in all.
    public let classes: Int

    /// Of logits [N, K] and a label for each; nil unless the labels are those of K classes, each of which has a picture.
    public init?(logits: Tensor, labels: [Int]) {
        classes = logits.size(1)
        guard logits.size(0) == labels.count, Set(labels) == Set(0..<classes) else { return nil }
        let chosen = logits.largestIndices().values(as: Int64.self)
        var (right, all) = ([Int](repeating: 0, count: classes), [Int](repeating: 0, count: classes))
        for (label, choice) in zip(labels, chosen) {
            all[label] += 1
            if Int(choice) == label { right[label] += 1 }
        }
        accuracy = Double(right.reduce(0, +)) / Double(labels.count)
        recognised = zip(right, all).count { Double($0) >= Self.share * Double($1) }
    }
}
