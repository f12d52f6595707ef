import CTorch
import Formats
import Foundation

/// A `torch.jit.save` program, run on the CPU. It is executed: only files named by the user are opened.
public final class TorchScript: @unchecked Sendable {
    /// The path of the file.
    public let path: String
    private let script: OpaquePointer

    /// Loads the file, in evaluation mode; throws a `FileError` if it is not such a file.
    public init(path: String) throws {
        var loaded: OpaquePointer?
        _ = try MappedFile(path: path)  // a file that cannot be opened has an error of its own
        guard ct_script_load(path, &loaded) == 0, let loaded else {
            throw FileError(
                path, "is no TorchScript file", remedy: "write one with torch.jit.script(network).save(PATH)")
        }
        (self.path, script) = (path, loaded)
    }

    deinit { ct_script_release(script) }

    /// Whether the program has a method with this name.
    public func hasMethod(_ name: String) -> Bool { ct_script_has(script, name) }

    /// Calls a method of the program with one tensor; it returns a tensor, or a tuple of at most eight. Throws a
    /// `FileError` if it fails.
    public func callAsFunction(_ input: Tensor, method: String = "forward") throws -> [Tensor] {
        var results = [OpaquePointer?](repeating: nil, count: 8)
        var produced: Int32 = 0
        let status = withoutGradients {
            ct_script_run(script, method, input.handle.raw, &results, Int32(results.count), &produced)
        }
        guard status == 0 else {
            let reason = Failure.lastMessage.split(separator: "\n").last.map(String.init) ?? "no reason given"
            throw FileError(path, "cannot be run on images \(input.shape): \(reason)")
        }
        return results.prefix(Int(produced)).map { Tensor(owning: $0!) }
    }

    /// The bytes of a file with a generated program: `source` defines its methods, which read the tensors as
    /// `self.NAME`; `name` is the class name seen in Python.
    public static func bytes(name: String, source: String, tensors: [(name: String, tensor: Tensor)]) -> [UInt8] {
        let names = tensors.map { strdup($0.name) }
        defer { for name in names { free(name) } }
        var bytes: [UInt8] = []
        let status = withUnsafeMutablePointer(to: &bytes) { bytes in
            ct_script_write(
                name, source, names.map { UnsafePointer($0) }, tensors.map { $0.tensor.handle.raw },
                Int32(tensors.count),
                { context, part, count in
                    let all = context!.assumingMemoryBound(to: [UInt8].self)
                    all.pointee += UnsafeRawBufferPointer(start: part, count: Int(count))
                }, bytes)
        }
        precondition(status == 0, "the source of a program is ours: \(Failure.lastMessage)")
        return bytes
    }
}
