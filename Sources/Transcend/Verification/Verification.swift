import Formats
import Foundation
import Torch

/// Runs golden files, to check whether this build computes the same as the reference.
public enum Verification {
    /// The factor by which errors may be larger in bf16 than in f32.
    public static let bf16Allowance = 3000.0

    /// The share of the gradients' root mean square below which a gradient counts as that large: one that is zero in
    /// exact arithmetic is a sum of numbers with relative rounding errors of 2^-9.
    static let bf16GradientFloor = 1e-2

    /// Checks every golden file in a directory and its subdirectories, in order of their names. Throws if the directory
    /// cannot be read or holds no golden file. `models` is a folder with published weights; cases that need it are
    /// skipped without it.
    public static func run(
        directory: String, models: String? = nil, device: Device = .cpu, precision: Precision = .f32
    ) throws -> [VerificationRow] {
        let directory = URL(fileURLWithPath: directory).resolvingSymlinksInPath().path
        let cases = try goldenPaths(in: directory)
        let rows = Precision.$current.withValue(precision) {
            cases.flatMap { check(directory + "/" + $0, name: $0, models: models, device: device) }
        }
        guard !rows.isEmpty else {
            throw FileError(directory, "holds no golden file", remedy: "give a folder of *.safetensors with a kind")
        }
        return rows
    }

    /// The safetensors files and `crop/index.json`, relative to the directory.
    private static func goldenPaths(in directory: String) throws -> [String] {
        guard let all = FileManager.default.enumerator(atPath: directory), let paths = all.allObjects as? [String],
            FileManager.default.isReadableFile(atPath: directory)
        else {
            throw FileError(directory, "cannot be read as a folder", remedy: "give a folder of golden files")
        }
        return paths.filter { $0.hasSuffix(".safetensors") || $0.hasSuffix("crop/index.json") }.sorted()
    }

    private static func check(_ path: String, name: String, models: String?, device: Device) -> [VerificationRow] {
        func row(_ kind: String, _ outcome: VerificationRow.Outcome) -> [VerificationRow] {
            [
                VerificationRow(
                    file: name, kind: kind, values: "", worstError: 0, worstName: "", tolerance: 0, outcome: outcome)
            ]
        }
        do {
            if name.hasSuffix("index.json") { return try GoldenData.crops(index: path, name: name) }
            guard let golden = try GoldenFile(path: path, name: name, device: device, models: models) else { return [] }
            guard let check = GoldenChecks.byKind[golden.kind] else {
                return row(golden.kind, .broken("unknown kind of golden file"))
            }
            let rows: [VerificationRow]
            do { rows = try withErrors { try check(golden) } } catch let skipped as GoldenCaseSkipped {
                return row(golden.kind, .skipped(skipped.reason))
            }
            return rows.isEmpty ? row(golden.kind, .broken("holds nothing to compare")) : rows
        } catch {
            return row("?", .broken("\(error)"))
        }
    }
}
