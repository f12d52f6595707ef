import Formats
import Foundation
import Torch

/// A golden file: inputs, weights, and the results that any implementation must return for them, with its tolerance.
///
/// Tensors are called `input.*`, `model.*`, `projector.*`, `teacher.*` and `expect.*`; the metadata hold `kind`, and as
/// JSON `config` (the network), `settings` (the rest) and `tolerance` (the maximum relative error by prefix of the name
/// after `expect.`, "" for the rest).
struct GoldenFile {
    let name: String
    let kind: String
    let file: SafetensorsFile
    let configuration: JSONValue
    let settings: JSONValue
    let tolerances: [(prefix: String, limit: Double)]
    let device: Device
    /// The folder with published weights that some files need.
    let models: String?

    /// Opens a file; nil for a safetensors file without a kind, which holds weights for another golden file.
    init?(path: String, name: String, device: Device, models: String? = nil) throws {
        let file = try SafetensorsFile(path: path)
        guard let kind = file.metadata["kind"] else { return nil }
        self.file = file
        self.name = name
        self.kind = kind
        self.device = device
        self.models = models
        func json(_ key: String) throws -> JSONValue {
            do { return try JSONValue(parsing: file.metadata[key] ?? "{}") } catch {
                throw FileError(path, "has \(key) that is no JSON: \(error)")
            }
        }
        configuration = try json("config")
        settings = try json("settings")
        tolerances = try json("tolerance").members?.map { ($0.key, $0.value.double ?? 0) } ?? []
    }

    /// The tensor on the device of the verification.
    func tensor(_ name: String) throws -> Tensor { try file.tensor(name).to(device) }

    /// The names that begin with `prefix`, without it.
    func names(below prefix: String) -> [String] {
        file.names.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
    }

    /// A setting, or an error that names it.
    func setting<Value>(_ key: String, _ read: (JSONValue) -> Value?) throws -> Value {
        guard let value = settings[key].flatMap(read) else {
            throw FileError(file.mapping.path, "has no usable setting \"\(key)\"")
        }
        return value
    }
}

/// Thrown if a file cannot be checked for a reason that is not a failure.
struct GoldenCaseSkipped: Error {
    let reason: String
}

/// The worst error of one prefix of one golden file.
public struct VerificationRow: Sendable {
    /// The outcome of a comparison.
    public enum Outcome: Sendable, Equatable {
        /// Every error is within its tolerance.
        case passed
        /// An error exceeds the tolerance.
        case failed
        /// Not checked, with the reason.
        case skipped(String)
        /// Could not be computed, with the reason; counts as failed.
        case broken(String)
    }

    /// The name in the directory.
    public let file: String
    /// The kind of content, such as "forward".
    public let kind: String
    /// The prefix of the names after `expect.`; empty for all others.
    public let values: String
    /// The relative error in the Euclidean norm, in float64; infinite for NaN.
    public let worstError: Double
    /// The name with the worst error.
    public let worstName: String
    /// The maximum error that passes, for the row's kind and precision.
    public let tolerance: Double
    /// Whether the row passed, and if it was not computed, why.
    public let outcome: Outcome
}

/// The relative error ||a - b|| / max(||b||, floor * sqrt(elements)), in float64; NaN counts as infinite.
///
/// The floor is 1e-6, but for gradients 1e-3, in bfloat16 1e-2, of the root mean square of all expected gradients of a
/// file: some are zero in exact arithmetic, where rounding noise is not an error.
func relativeError(_ computed: Tensor, _ expected: Tensor, floor: Double) -> Double {
    guard computed.shape == expected.shape else { return .infinity }
    let a: [Double] = computed.values()
    let b: [Double] = expected.values()
    let difference = zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
    let size = b.reduce(0) { $0 + $1 * $1 }.squareRoot()
    let error = difference == 0 ? 0 : difference / max(size, floor * Double(b.count).squareRoot())
    return error.isNaN ? .infinity : error
}

extension GoldenFile {
    /// Compares computed values with every `expect.*`; one row for each tolerance that applies.
    func compare(
        _ computed: [String: Tensor], label: String = "", omitting omitted: Set<String> = []
    ) throws -> [VerificationRow] {
        let names = names(below: "expect.").filter { !omitted.contains($0) }
        let gradients = try names.filter { $0.hasPrefix("grad.") }.flatMap {
            try file.tensor("expect." + $0).values(as: Double.self)
        }
        let meanSquare = gradients.reduce(0) { $0 + $1 * $1 } / Double(max(1, gradients.count))
        var worst: [String: (error: Double, name: String)] = [:]
        for name in names {
            let prefix = tolerances.map(\.prefix).filter(name.hasPrefix).max { $0.count < $1.count } ?? ""
            let gradientFloor = Precision.current == .bf16 ? Verification.bf16GradientFloor : 1e-3
            let floor = prefix == "grad." ? gradientFloor * meanSquare.squareRoot() : 1e-6
            let error = try computed[name].map {
                relativeError($0.detached(), try file.tensor("expect." + name), floor: floor)
            }
            let present = (error ?? .infinity, error == nil ? name + " (not computed)" : name)
            if worst[prefix].map({ present.0 > $0.error }) ?? true { worst[prefix] = present }
        }
        return worst.sorted { $0.key < $1.key }.map { prefix, worst in
            let allowance = Precision.current == .bf16 ? Verification.bf16Allowance : 1
            let limit = tolerances.first { $0.prefix == prefix }.map { $0.limit * allowance }
            let outcome: VerificationRow.Outcome =
                limit.map { worst.error <= $0 ? .passed : .failed } ?? .broken("no tolerance for \(worst.name)")
            return VerificationRow(
                file: name, kind: kind, values: label + prefix, worstError: worst.error, worstName: worst.name,
                tolerance: limit ?? 0, outcome: outcome)
        }
    }
}
