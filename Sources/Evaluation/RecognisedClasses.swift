import Torch

/// How well a classifier recognises pictures generated for known classes.
public struct RecognisedClasses: Sendable, Equatable {
    /// The share of a class's pictures from which on the class counts as recognised.
    public static let share = 0.7

    /// The share of all pictures whose highest logit is that of their class.
    public let accuracy: Double
    /// The number of classes of which at least `share` of the pictures are recognised.
    public let recognised: Int
    /// The number of classes.
    public let classes: Int

    /// Evaluates logits [N, K] and a label for each; nil unless the labels are those of K classes, each with a picture.
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
