/// The name that a misspelled one most likely means: within a third of its length in edits; nil if none is that near.
package func nearestName(to word: String, among names: [String]) -> String? {
    guard word.count <= 100 else { return nil }
    let best = names.map { ($0, editDistance(word.lowercased(), $0.lowercased())) }.min { $0.1 < $1.1 }
    return best.flatMap { $0.1 <= max(2, word.count / 3) ? $0.0 : nil }
}

/// The nearest dotted key, also considering keys in other groups whose last component is similar.
func nearestKey(to key: String, among keys: [String]) -> String? {
    guard key.count <= 100 else { return nil }
    func leaf(_ key: String) -> String { String(key.split(separator: ".").last ?? "") }
    if let nearest = nearestName(to: key, among: keys), editDistance(key, nearest) <= 2 { return nearest }
    if let nearest = nearestName(to: leaf(key), among: keys.map(leaf)) {
        return nearestName(to: key, among: keys.filter { leaf($0) == nearest }) ?? keys.first { leaf($0) == nearest }
    }
    return nearestName(to: key, among: keys)
}

/// The end of a sentence about a name that is not there, with the one that was most likely meant, if any.
package func didYouMean(_ nearest: String?) -> String { nearest.map { "; did you mean \($0)?" } ?? "" }

/// The minimum number of insertions, deletions and replacements of characters (Levenshtein 1966).
private func editDistance(_ a: String, _ b: String) -> Int {
    let (a, b) = (Array(a), Array(b))
    var rows = [Array(0...b.count)]
    for (i, x) in a.enumerated() {
        var row = [i + 1]
        for (j, y) in b.enumerated() {
            var least = min(row[j] + 1, rows[i][j + 1] + 1, rows[i][j] + (x == y ? 0 : 1))
            if i > 0, j > 0, x == b[j - 1], y == a[i - 1] { least = min(least, rows[i - 1][j - 1] + 1) }
            row.append(least)
        }
        rows.append(row)
    }
    return rows[a.count][b.count]
}
