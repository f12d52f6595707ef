// swift-tools-version: 6.0
import Foundation
import PackageDescription

// `LIBTORCH` names the folder `torch` of an installation (with `lib/` and `include/`); without it, the one that
// `make setup` put into the user's cache folder is used. Scripts/setup.sh knows the same place.
let environment = ProcessInfo.processInfo.environment.filter { !$0.value.isEmpty }
let cache = environment["XDG_CACHE_HOME"] ?? (environment["HOME"] ?? "/root") + "/.cache"
let torch = environment["LIBTORCH"] ?? cache + "/transcend/libtorch-2.11.0/torch"

let torchHeaders = [
    "-isystem", "\(torch)/include", "-isystem", "\(torch)/include/torch/csrc/api/include",
    "-O2", "-fno-math-errno", "-fno-trapping-math",
]
// Only libtorch's CPU part is linked; CUDA's is opened at run time where there is one (Sources/CTorch/device.cpp). What
// Scripts/bundle.sh builds names no folder of this machine: its launcher says where libtorch is.
let runPath = environment["TRANSCEND_BUNDLE"] == nil ? ["-Xlinker", "-rpath", "-Xlinker", "\(torch)/lib"] : []
let torchLibraries: [LinkerSetting] = [
    .unsafeFlags(
        ["-L\(torch)/lib", "-Xlinker", "-rpath-link", "-Xlinker", "\(torch)/../nvidia/cu13/lib"] + runPath),
    .linkedLibrary("c10"), .linkedLibrary("torch_cpu"), .linkedLibrary(":libgomp.so.1"),
]

let package = Package(
    name: "transcend",
    products: [
        .executable(name: "transcend", targets: ["TranscendCLI"]),
        .library(
            name: "Transcend", targets: ["Transcend", "Evaluation", "Diffusion", "Models", "Data", "Torch", "Formats"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    ],
    targets: [
        // Each target imports only those listed before it, the lower layers of ARCHITECTURE.md.
        .target(name: "CStart"),
        .target(name: "CZlib", linkerSettings: [.linkedLibrary("z")]),
        .target(name: "CImage", linkerSettings: [.linkedLibrary("turbojpeg"), .linkedLibrary("png16")]),
        .target(
            name: "CTorch", cxxSettings: [.headerSearchPath("gloo-declarations"), .unsafeFlags(torchHeaders)],
            linkerSettings: torchLibraries),
        .target(name: "Formats", dependencies: ["CZlib"]),
        .target(name: "Torch", dependencies: ["CTorch", "Formats"]),
        .target(name: "Data", dependencies: ["Formats", "Torch", "CImage"]),
        .target(name: "Models", dependencies: ["Torch"]),
        .target(name: "Diffusion", dependencies: ["Models", "Torch"]),
        .target(name: "Evaluation", dependencies: ["Models", "Data", "Torch", "Formats"]),
        .target(
            name: "Transcend",
            dependencies: [
                "Evaluation", "Diffusion", "Models", "Data", "Torch", "Formats",
                .product(name: "Yams", package: "Yams"),
            ]),
        .executableTarget(
            name: "TranscendCLI",
            dependencies: [
                "Transcend", "Evaluation", "CStart", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),

        .target(name: "TestSupport", dependencies: ["Torch"], path: "Tests/Support"),
        .target(name: "CUDAEmulation", path: "Tests/CUDAEmulation"),
        .executableTarget(
            name: "Fuzz", dependencies: ["Transcend", "Data", "Formats", "CZlib"], path: "Tests/Long/Fuzz"),
        .testTarget(name: "FormatsTests", dependencies: ["Formats", "TestSupport"], exclude: ["Fixtures"]),
        .testTarget(name: "TorchTests", dependencies: ["Torch", "Formats", "TestSupport", "CUDAEmulation"]),
        .testTarget(name: "DataTests", dependencies: ["Data", "TestSupport"], exclude: ["Fixtures"]),
        .testTarget(name: "DiffusionTests", dependencies: ["Diffusion", "Models", "Torch", "TestSupport"]),
        .testTarget(
            name: "EvaluationTests", dependencies: ["Evaluation", "Models", "Data", "Formats", "Torch", "TestSupport"]),
        .testTarget(name: "TranscendTests", dependencies: ["Transcend", "TestSupport"]),
        .testTarget(
            name: "CommandLineTests", dependencies: ["TranscendCLI", "Data", "TestSupport"], exclude: ["Fixtures"]),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx20
)
