import Foundation

/// A number of things, with their name in the singular or plural: `1 image`, `6 images`, `2 classes`.
public func counted(_ count: Int, _ name: String) -> String {
    let plural = name.hasSuffix("s") ? name + "es" : name + "s"
    return "\(count) \(count == 1 ? name : plural)"
}

/// Formats a count with three to four digits: `512`, `45.3 k`, `675.1 M`, `1.3 G`.
public func readableCount(_ count: Int) -> String {
    count.magnitude < 1000 ? "\(count)" : scaled(Double(count), unit: "")
}

/// Formats an amount of storage in decimal units: `17 B`, `4.2 kB`, `1.3 GB`.
public func readableBytes(_ bytes: Int) -> String {
    bytes.magnitude < 1000 ? "\(bytes) B" : scaled(Double(bytes), unit: "B")
}

/// Formats a number of floating-point operations: `830 FLOP`, `1.2 TFLOP`, `3.4 PFLOP`.
public func readableFLOPs(_ operations: Double) -> String {
    abs(operations) < 999.5 ? String(format: "%.0f FLOP", operations) : scaled(operations, unit: "FLOP")
}

/// Formats a duration like a clock: `0:42`, `12:05`, `3:07:09`, and from a day on `2d 4h`; seconds are rounded.
public func readableDuration(_ seconds: Double) -> String {
    guard seconds.isFinite, abs(seconds) < 1e12 else { return "?" }
    let whole = Int(max(0, seconds).rounded())
    let (days, hours, minutes) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60)
    if days > 0 { return "\(days)d \(hours)h" }
    if hours > 0 { return String(format: "%d:%02d:%02d", hours, minutes, whole % 60) }
    return String(format: "%d:%02d", minutes, whole % 60)
}

/// Formats a measured value with at most three digits: `0.412`, `12.3`, `5100`, `2e-5`, `nan`.
public func readableNumber(_ value: Double) -> String {
    guard value.isFinite else { return value.isNaN ? "nan" : value > 0 ? "inf" : "-inf" }
    guard value != 0, abs(value) < 1e-3 || abs(value) >= 99_999.5 else {
        return String(format: abs(value) < 999.5 ? "%.3g" : "%.0f", value)
    }
    let digits = String(format: "%.2e", value).split(separator: "e")
    return String(format: "%.3g", Double(digits[0]) ?? 0) + "e\(Int(digits[1]) ?? 0)"
}

/// One decimal and an SI prefix; a value that would round to `1000.0` takes the next prefix.
private func scaled(_ value: Double, unit: String) -> String {
    guard value.isFinite else { return readableNumber(value) + (unit.isEmpty ? "" : " " + unit) }
    let prefixes = ["k", "M", "G", "T", "P", "E", "Z"]
    var scaled = value / 1000
    var index = 0
    while abs(scaled) >= 999.95, index < prefixes.count - 1 {
        scaled /= 1000
        index += 1
    }
    return String(format: "%.1f ", scaled) + prefixes[index] + unit
}
