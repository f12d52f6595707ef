import Torch

/// The labels of the samples that a user requests.
public struct SampleLabels: Sendable {
    /// The label of each sample.
    public let labels: [Int]
    /// The number of samples side by side in a grid.
    public let columns: Int
    /// The labels of the grid's rows, if each row has one class.
    public let rows: [Int]
    /// The rule in words: "random", "balanced", or the classes.
    public let rule: String

    /// Parses a request. `requested` is one of: class indices and names, possibly several in one word separated by
    /// commas, each with an equal share, one class after another (none: every class); "random": drawn uniformly; or
    /// "balanced": sample i has class i mod K, so that any first samples are balanced too. Without a count there are 8
    /// of each class, or 64 random ones.
    public init(_ requested: [String], count: Int?, classNames: [String], seed: UInt64) throws {
        if let count, count < 1 || count > 1_000_000 {
            throw ConfigurationError("--count \(count): give a number from 1 to 1000000")
        }
        if requested == ["random"] {
            let draws = Draws(seed: seed)
            labels = (0..<(count ?? 64)).map {
                let uniform = draws.uniforms(.sampleLabel, step: 0, item: $0, count: 1)[0]
                return Int(Double(uniform) * Double(classNames.count))
            }
            (columns, rows, rule) = (8, [], "random")
            return
        }
        if requested == ["balanced"] {
            labels = (0..<(count ?? 8 * classNames.count)).map { $0 % classNames.count }
            (columns, rows, rule) = (min(classNames.count, 32), [], "balanced")
            return
        }
        if let word = requested.first(where: { ["random", "balanced"].contains($0) }) {
            throw ConfigurationError("--labels: \(word) stands alone; leave it or the other classes out")
        }
        let words = requested.flatMap { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) }
        let classes = try words.isEmpty ? Array(classNames.indices) : words.map { try Self.label($0, classNames) }
        let total = count ?? 8 * classes.count
        let perClass = (total + classes.count - 1) / classes.count
        labels = (0..<total).map { classes[$0 * classes.count / total] }
        rule = words.isEmpty ? "all, in blocks" : classes.map(String.init).joined(separator: ", ")
        columns = total % perClass == 0 && perClass <= 32 ? perClass : 8
        let inRows = stride(from: 0, to: total, by: columns).map { [columns, labels] start in
            Set(labels[start..<min(start + columns, labels.count)])
        }
        rows = inRows.allSatisfy { $0.count == 1 } ? inRows.compactMap(\.first) : []
    }

    /// A class by its name, or else by its index.
    private static func label(_ word: String, _ classNames: [String]) throws -> Int {
        if let named = classNames.firstIndex(of: word) { return named }
        if let number = Int(word), classNames.indices.contains(number) { return number }
        let nearest = didYouMean(nearestName(to: word, among: classNames))
        throw ConfigurationError(
            "--labels \(word.isEmpty ? "''" : word): the checkpoint has classes 0 to \(classNames.count - 1)\(nearest)")
    }
}
