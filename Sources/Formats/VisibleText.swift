extension String {
    /// The text with control characters as escapes (`\x1b`), and line breaks too: names in files and of files may hold any of
    /// them, and a terminal would obey.
    public var visible: String {
        guard unicodeScalars.contains(where: \.isControl) else { return self }
        return unicodeScalars.reduce(into: "") { text, scalar in
            if scalar.isControl {
                let digits = String(scalar.value, radix: 16)
                text += "\\x" + String(repeating: "0", count: max(0, 2 - digits.count)) + digits
            } else {
                text.unicodeScalars.append(scalar)
            }
        }
    }
}

extension Unicode.Scalar {
    /// A control character, or what ends a line or paragraph.
    fileprivate var isControl: Bool {
        switch properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }
}
