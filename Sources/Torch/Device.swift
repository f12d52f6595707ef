import CTorch
import Foundation

/// Where tensors live and operations run.
public struct Device: Sendable, Equatable, CustomStringConvertible {
    /// The kinds that the border knows; the numbers are its own.
    public enum Kind: Int32, Sendable {
        case cpu = 0
        case cuda = 1
        /// Shapes without storage, for counting.
        case meta = 2
    }

    /// What it is.
    public let kind: Kind
    /// Which one of several CUDA devices, from 0; 0 for the others.
    public let index: Int

    /// Whether the device is there is not looked up; `Library.cudaDevices` says it.
    public init(kind: Kind, index: Int = 0) {
        self.kind = kind
        self.index = index
    }

    /// The host's memory and processor.
    public static let cpu = Device(kind: .cpu)
    /// Shapes without storage: what is computed here costs nothing and has no values.
    public static let meta = Device(kind: .meta)

    /// Reads "cpu", "cuda" or "cuda:1"; nil for anything else.
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

    /// The most memory that tensors had at once on a CUDA device; nil for others.
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

/// libtorch as it runs in this process.
public enum Library {
    /// The version of libtorch that the program was built with.
    public static var version: String { String(cString: ct_version()) }

    /// The vector instructions that libtorch's CPU kernels use, such as "AVX512".
    public static var cpuCapability: String { String(cString: ct_cpu_capability()) }

    /// Threads that one operation may use. Set through the environment: `OMP_NUM_THREADS`.
    public static var threads: Int { Int(ct_threads()) }

    /// Changes their number for the calling thread and for threads that have not used libtorch yet.
    public static func setThreads(_ count: Int) { Failure.check(ct_set_threads(Int32(count)), "set threads") }

    /// Lets the process keep freed memory instead of giving it back to the system.
    ///
    /// A training step frees what the next one allocates. glibc gives large pieces back, and the system fills them with
    /// zeros again: 7 % of a step on the CPU at a batch of 16, 36 % at 64. For programs that mainly train or sample; call it
    /// before anything else.
    public static func keepFreedMemory() { ct_keep_freed_memory() }

    /// The folder of the libtorch that was loaded, as the dynamic linker says.
    public static var folder: String {
        URL(fileURLWithPath: String(cString: ct_library_path())).deletingLastPathComponent().path
    }

    /// CUDA devices that can be used; the first call opens libtorch's CUDA part, where a driver and that part exist.
    public static var cudaDevices: Int { cuda.devices }

    /// Why there are none, as a part of a sentence; nil where there are some.
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
