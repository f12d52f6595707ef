import Foundation
import Torch

/// The version of the program.
public enum Version {
    /// Major, minor, patch (semver.org).
    public static let current = "0.1.0"
}

/// Information about this machine.
public enum Diagnosis {
    /// Names and values, in display order.
    public static var facts: [(name: String, value: String)] {
        [
            ("transcend", Version.current),
            ("libtorch", "\(Library.version) in \(Library.folder)"),
            ("vector instructions of libtorch", Library.cpuCapability),
            ("CPU", cpuName),
            ("CPU features", cpuFeatures.joined(separator: " ")),
            ("threads", "\(Library.threads) of \(ProcessInfo.processInfo.activeProcessorCount) cores"),
            ("settings of libraries", librarySettings),
            ("memory", readableBytes(Int(ProcessInfo.processInfo.physicalMemory))),
            ("CUDA devices", Library.cudaProblem.map { "none: \($0)" } ?? "\(Library.cudaDevices)"),
            ("libtorch's CUDA part", Library.cudaLibrary ?? "not in this installation"),
            ("loaded libraries", loadedLibraries.joined(separator: " ")),
            ("system", systemName),
        ]
    }

    /// The facts on which the speed of a run depends.
    static var machine: [(name: String, value: String)] {
        let names: Set = [
            "transcend", "vector instructions of libtorch", "CPU", "threads", "memory", "CUDA devices", "system",
        ]
        return [("libtorch", Library.version)] + facts.filter { names.contains($0.name) }
    }

    /// Problems that keep something from working, one sentence each.
    public static var problems: [String] {
        var all: [String] = []
        if let problem = Library.cudaProblem, Library.hasCUDADriver { all.append("no CUDA device: \(problem)") }
        for index in 0..<Library.cudaDevices {
            let device = Device(kind: .cuda, index: index)
            guard let problem = Kernels.cudaProblem(of: device) else { continue }
            all.append("\(device) computes without the program's own kernels, slowly: \(problem)")
        }
        if let found = installedVersion, !found.hasPrefix(Library.version) {
            all.append("libtorch is \(found), not \(Library.version); set LIBTORCH to the folder torch of one that is")
        }
        if Library.threads > ProcessInfo.processInfo.activeProcessorCount {
            all.append("more threads than cores; unset OMP_NUM_THREADS or lower it")
        }
        if openFilesLimit < 256 { all.append("only \(openFilesLimit) files may be open; raise it with ulimit -n 1024") }
        if !Library.cpuCapability.hasPrefix("AVX") {
            all.append("libtorch computes without AVX2, slowly: this CPU lacks it, or ATEN_CPU_CAPABILITY forbids it")
        }
        return all
    }

    /// The version of the loaded libtorch, according to its installation.
    private static var installedVersion: String? {
        let line = lines(of: Library.folder + "/../version.py").first { $0.hasPrefix("__version__") }
        return line?.split(separator: "'").last.map(String.init)
    }

    private static var openFilesLimit: UInt64 {
        var limit = rlimit()
        return getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 ? UInt64(limit.rlim_cur) : .max
    }

    /// How long libgomp's threads spin before they sleep, and how glibc allocates (set by CStart).
    private static var librarySettings: String {
        let environment = ProcessInfo.processInfo.environment
        return ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "GLIBC_TUNABLES"]
            .compactMap { name in environment[name].map { "\(name)=\($0)" } }.joined(separator: " ")
    }

    private static func lines(of path: String) -> [Substring] {
        // Read to the end, since files in /proc report a size of 0.
        let bytes = (try? FileHandle(forReadingAtPath: path)?.readToEnd()) ?? Data()
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    }

    private static func processorField(_ name: String) -> String {
        let line = lines(of: "/proc/cpuinfo").first { $0.hasPrefix(name) }
        return line?.split(separator: ":").last?.trimmingCharacters(in: .whitespaces) ?? "unknown"
    }

    private static var cpuName: String { processorField("model name") }

    /// The CPU features by which libtorch's kernels are chosen.
    private static var cpuFeatures: [String] {
        let known = Set(processorField("flags").split(separator: " ").map(String.init))
        return ["avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16"].filter(known.contains)
    }

    private static var loadedLibraries: [String] {
        let names = lines(of: "/proc/self/maps").compactMap { line -> String? in
            guard let path = line.split(separator: " ").last, path.contains(".so") else { return nil }
            return path.split(separator: "/").last.map(String.init)
        }
        let ours = ["torch", "c10", "gomp", "cudart", "cupti", "turbojpeg", "png", "libz", "swiftCore"]
        return Set(names).filter { name in ours.contains(where: name.contains) }.sorted()
    }

    private static var systemName: String {
        let pretty = lines(of: "/etc/os-release").first { $0.hasPrefix("PRETTY_NAME=") }
        return pretty.map { $0.dropFirst("PRETTY_NAME=".count).replacingOccurrences(of: "\"", with: "") } ?? "Linux"
    }
}
