import Formats

/// Rows of text in aligned columns for the terminal: names left-aligned, numbers right-aligned.
///
///     layer        shape          parameters
///     ──────────────────────────────────────
///     x_embedder   [1152, 4, 2]       18.4 k
public struct Table: Sendable, CustomStringConvertible {
    /// A column's title and alignment.
    public struct Column: Sendable {
        let title: String
        let isNumeric: Bool

        /// A column of words, aligned to the left.
        public static func text(_ title: String) -> Column { Column(title: title, isNumeric: false) }
        /// A column of numbers, aligned to the right.
        public static func number(_ title: String) -> Column { Column(title: title, isNumeric: true) }
    }

    /// The columns, from the left.
    public let columns: [Column]
    private var rows: [[String]] = []

    /// Creates a table without rows.
    public init(_ columns: Column...) { self.init(columns) }

    /// Creates a table without rows.
    public init(_ columns: [Column]) { self.columns = columns }

    /// Adds a row with one cell for each column.
    public mutating func append(_ cells: String...) {
        append(cells)
    }

    /// Adds a row with one cell for each column; control characters in it are shown as escapes.
    public mutating func append(_ cells: [String]) {
        precondition(cells.count == columns.count, "a row has one cell for each column")
        rows.append(cells.map(\.visible))
    }

    /// All lines, with the titles first unless all are empty; without a trailing newline.
    public var description: String {
        let titles = columns.map(\.title)
        let hasTitles = titles.contains { !$0.isEmpty }
        let widths = columns.indices.map { column in
            ((hasTitles ? [titles] : []) + rows).map { $0[column].count }.max() ?? 0
        }
        func line(_ cells: [String]) -> String {
            let padded = cells.indices.map { column in
                let space = String(repeating: " ", count: widths[column] - cells[column].count)
                return columns[column].isNumeric ? space + cells[column] : cells[column] + space
            }
            let joined = padded.joined(separator: Self.gap)
            return String(joined.reversed().drop { $0 == " " }.reversed())
        }
        let total = widths.reduce(0, +) + Self.gap.count * max(0, columns.count - 1)
        let head = hasTitles ? [line(titles), String(repeating: "─", count: total)] : []
        return (head + rows.map(line)).joined(separator: "\n")
    }

    private static let gap = "   "
}
