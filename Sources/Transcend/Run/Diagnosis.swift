import Foundation
import Torch

/// The version of the program.
public enum Version {
    /// Major, minor, patch (semver.org).
    public static let current = "0.1.0"
}

/// What the program finds on this machine.
public enum Diagnosis {
    /// Names and values, in the order in which they are shown.
    public static var facts: [(name: String, value: String)] {
        let cuda = Library.cudaDevices
        return [
            ("transcend", Version.current),
            ("libtorch", "\(Library.version) in \(Library.folder)"),
            ("vector instructions of libtorch", Library.cpuCapability),
            ("CPU", cpuName),
            ("CPU features", cpuFeatures.joined(separator: " ")),
            ("threads", "\(Library.threads) of \(ProcessInfo.processInfo.activeProcessorCount) cores"),
            ("memory", readableBytes(Int(ProcessInfo.processInfo.physicalMemory))),
            ("CUDA devices", cuda == 0 ? "none" : "\(cuda)"),
            ("libtorch's CUDA part", Library.cudaLibrary ?? "not in this installation"),
            ("loaded libraries", loadedLibraries.joined(separator: " ")),
            ("system", systemName),
        ]
    }

    /// What keeps something from working, one sentence each.
    public static var problems: [String] {
        var all: [String] = []
        let hasDriver = FileManager.default.fileExists(atPath: "/dev/nvidiactl")
        if hasDriver && Library.cudaLibrary == nil {
            all.append(
                "this machine has an NVIDIA driver, but libtorch here has no CUDA part; build with LIBTORCH set to the "
                    + "folder torch of a PyTorch 2.11.0 with CUDA")
        } else if !hasDriver && Library.cudaLibrary != nil {
            all.append("an NVIDIA driver (/dev/nvidiactl); training runs on the CPU")
        } else if hasDriver && Library.cudaDevices == 0 {
            all.append("a CUDA device that libtorch can use; check that the driver fits CUDA 13")
        }
        if !cpuFeatures.contains("avx2") { all.append("AVX2 on this CPU; libtorch falls back to slow kernels") }
        return all
    }

    private static func lines(of path: String) -> [Substring] {
        // Read to its end: files of /proc say that they are empty.
        let bytes = (try? FileHandle(forReadingAtPath: path)?.readToEnd()) ?? Data()
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    }

    private static func processorField(_ name: String) -> String {
        let line = lines(of: "/proc/cpuinfo").first { $0.hasPrefix(name) }
        return line?.split(separator: ":").last?.trimmingCharacters(in: .whitespaces) ?? "unknown"
    }

    private static var cpuName: String { processorField("model name") }

    /// Of the features of this CPU, those that kernels of libtorch choose by.
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
