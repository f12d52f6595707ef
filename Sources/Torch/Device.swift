import CTorch
import Foundation

/// The device on which tensors are stored and operations run.
public struct Device: Sendable, Equatable, CustomStringConvertible {
    /// The kinds of device; the numbers are those of the C border.
    public enum Kind: Int32, Sendable {
        /// The host's processor and memory.
        case cpu = 0
        /// A CUDA device.
        case cuda = 1
        /// Shapes without storage, for counting.
        case meta = 2
    }

    /// The kind of device.
    public let kind: Kind
    /// The index among several CUDA devices, from 0; 0 for other kinds.
    public let index: Int

    /// Creates a device without checking that it exists; see `Library.cudaDevices`.
    public init(kind: Kind, index: Int = 0) {
        self.kind = kind
        self.index = index
    }

    /// The CPU.
    public static let cpu = Device(kind: .cpu)
    /// Shapes without storage: computing here costs nothing and gives no values.
    public static let meta = Device(kind: .meta)

    /// Parses "cpu", "cuda" or "cuda:1"; nil for anything else.
    public init?(_ name: String) {
        let parts = name.split(separator: ":", omittingEmptySubsequences: false)
        switch (parts.first, parts.count) {
        case ("cpu", 1): self = .cpu
        case ("cuda", 1): self.init(kind: .cuda)
        case ("cuda", 2):
            guard let index = Int(parts[1]), index >= 0 else { return nil }
            self.init(kind: .cuda, index: index)
        default: return nil
        }
    }

    public var description: String {
        switch kind {
        case .cpu: "cpu"
        case .cuda: "cuda:\(index)"
        case .meta: "meta"
        }
    }

    /// The peak memory of tensors on a CUDA device; nil for other devices.
    public var peakBytes: Int? {
        var bytes: Int64 = 0
        guard kind == .cuda, ct_cuda_peak_bytes(Int32(index), &bytes) == 0 else { return nil }
        return Int(bytes)
    }

    /// Waits until everything queued on the device is done.
    public func synchronize() {
        if kind == .cuda { Failure.check(ct_synchronize(Int32(index)), "synchronize") }
    }
}

/// The libtorch loaded into this process.
public enum Library {
    /// The version of libtorch that the program was built with.
    public static var version: String { String(cString: ct_version()) }

    /// The vector instruction set of libtorch's CPU kernels, such as "AVX512".
    public static var cpuCapability: String { String(cString: ct_cpu_capability()) }

    /// The number of threads that one operation may use. Set through the environment: `OMP_NUM_THREADS`.
    public static var threads: Int { Int(ct_threads()) }

    /// Changes the number of threads for the calling thread and for threads that have not used libtorch yet.
    public static func setThreads(_ count: Int) { Failure.check(ct_set_threads(Int32(count)), "set threads") }

    /// Makes the process keep freed memory instead of returning it to the system.
    ///
    /// A training step frees memory that the next one allocates again. glibc returns large blocks to the system, which
    /// zeroes them again: 7 % of a step on the CPU at a batch of 16, 36 % at 64. For programs that mainly train or
    /// sample; call it before anything else.
    public static func keepFreedMemory() { ct_keep_freed_memory() }

    /// The folder of the loaded libtorch, as reported by the dynamic linker.
    public static var folder: String {
        URL(fileURLWithPath: String(cString: ct_library_path())).deletingLastPathComponent().path
    }

    /// The number of usable CUDA devices; the first call opens libtorch's CUDA part, if it and a driver exist.
    public static var cudaDevices: Int { cuda.devices }

    /// The reason why there are none, as part of a sentence; nil if there are some.
    public static var cudaProblem: String? { cuda.problem }

    /// Whether an NVIDIA driver is loaded.
    public static var hasCUDADriver: Bool { FileManager.default.fileExists(atPath: "/dev/nvidiactl") }

    private static let cuda: (devices: Int, problem: String?) = {
        guard hasCUDADriver else { return (0, "there is no NVIDIA driver (/dev/nvidiactl)") }
        guard let library = cudaLibrary else {
            return (0, "\(folder) has no CUDA part; set LIBTORCH to the folder torch of a PyTorch \(version) with CUDA")
        }
        guard ct_open_cuda(library) == 0 else { return (0, "\(library) cannot be opened: \(Failure.lastMessage)") }
        let count = Int(ct_cuda_devices())
        return (count, count > 0 ? nil : "libtorch finds no device; nvidia-smi tells whether the driver fits CUDA 13")
    }()

    /// The path of libtorch's CUDA part, if the installation has it.
    public static var cudaLibrary: String? {
        let path = folder + "/libtorch_cuda.so"
        return FileManager.default.fileExists(atPath: path) ? path : nil
    }
}
