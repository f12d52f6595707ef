import Formats
import Foundation

extension GoldenChecks {
    /// Checks a published checkpoint beside the file, `NAME.pt` for `NAME-expected.safetensors`: every tensor must have
    /// the same type, shape and bits.
    static func checkpoint(_ golden: GoldenFile) throws -> [VerificationRow] {
        let expected = golden.file
        let source = try PublishedCheckpoint(
            path: expected.path.replacingOccurrences(of: "-expected.safetensors", with: ".pt"))
        guard source.step == (try golden.setting("steps", \.int)) else {
            throw FileError(source.path, "made \(source.step) steps, which is not what \(golden.name) says")
        }
        let inferred = try NetworkInference(source.model, heads: try golden.networkConfiguration().heads)
        guard inferred.network == (try golden.networkConfiguration()) else {
            throw FileError(source.path, "was taken for another network than \(golden.name) says")
        }
        var parts = [("model.", source.model, "model."), ("ema.", source.average, "ema.")]
        if let moments = source.moments { parts += [("exp_avg.", moments, ""), ("exp_avg_sq.", moments, "")] }
        return try parts.map { prefix, section, stripped in
            let found = Set(section.names.map { stripped + $0 }.filter { $0.hasPrefix(prefix) })
            let wanted = expected.names.filter { $0.hasPrefix(prefix) }
            var wrong = found.symmetricDifference(wanted).sorted()
            for name in wanted where found.contains(name) {
                let own = String(name.dropFirst(stripped.count))
                let isEqual = try section.withBytes(of: own) { a in
                    try expected.withBytes(of: name) { a.elementsEqual($0) }
                }
                if !isEqual || section.layout(of: own) != expected.layout(of: name) { wrong.append(name) }
            }
            return VerificationRow(
                file: golden.name, kind: golden.kind, values: prefix,
                worstError: Double(wrong.count) / Double(max(1, wanted.count)), worstName: wrong.first ?? "",
                tolerance: 0,
                outcome: wrong.isEmpty && !wanted.isEmpty ? .passed : .failed)
        }
    }
}
