import ArgumentParser
import Diffusion
import Formats
import Foundation
import Models
import Torch
import Transcend

/// The network, batch and device of a benchmark, under the names of the PyTorch peer's flags.
struct BenchOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Network of a published size.", valueName: "name")) var model = "SiT-S/2"
    @Option(help: ArgumentHelp("Images in a step.", valueName: "n")) var batch = 16
    @Option(help: ArgumentHelp("Side of the input.", valueName: "n")) var latent = 32
    @Option(help: ArgumentHelp("Channels of the input.", valueName: "n")) var channels = 4
    @Option(help: ArgumentHelp("Number of classes.", valueName: "n")) var classes = 1000
    @Option(help: ArgumentHelp("Hidden size instead of the named network's.", valueName: "n")) var hidden: Int?
    @Option(help: ArgumentHelp("Depth instead of the named network's.", valueName: "n")) var depth: Int?
    @Option(help: ArgumentHelp("Heads instead of the named network's.", valueName: "n")) var heads: Int?
    @Option(help: ArgumentHelp("Patch instead of the named network's.", valueName: "n")) var patch: Int?
    @Option(help: ArgumentHelp("Of products.", valueName: "type")) var precision = Precision.f32
    @Flag(help: "Let the backward pass compute what is inside blocks anew.") var recompute = false
    @Option(help: ArgumentHelp("auto, cpu, cuda or cuda:N.", valueName: "name")) var device = "cpu"
    @OptionGroup var kernelOptions: KernelOptions
    @OptionGroup var count: BenchSteps
    @Flag(help: "Print one line of JSON.") var json = false
    @Flag(help: "Print where the time goes, operator by operator.") var profile = false

    /// The configuration of a stage, with the stage's own settings set by `adjust`.
    func configuration(
        stage: String, adjust: (inout TrainingOptions) -> Void = { _ in }
    ) throws -> TrainingConfiguration {
        var options = try TrainingOptions.parse([])
        options.model = model
        options.batch = batch
        options.resolution = latent
        options.precision = precision.rawValue
        options.device = device
        let own = [
            ("network.channels", channels), ("network.classes", classes), ("network.hidden", hidden),
            ("network.depth", depth), ("network.heads", heads), ("network.patchSize", patch),
        ]
        options.set = own.compactMap { key, value in value.map { "\(key)=\($0)" } }
        if recompute { options.set.append("recompute=true") }
        adjust(&options)
        return try ConfigurationBuilder(settings: options.settings()).configuration(stage: stage)
    }

    /// Times the steps of a configuration, or batches of samples with a sampler, and prints the result.
    func time(_ configuration: TrainingConfiguration, stage: String, sampler: Sampler? = nil) throws {
        try count.check()
        let launch = try sampler == nil ? Launch() : nil
        if let launch { try configuration.checkShares(of: launch.size) }
        let isPrinting = launch == nil || launch?.rank == 0
        let progress = ProgressLine(stage: "bench", total: count.steps + count.warmup, imagesPerStep: batch)
        let result = try World.join(
            launch, device: device, timeout: configuration.distributed.timeoutSeconds
        ) { world in
            try kernelOptions.run {
                var benchmark = StepBenchmark(configuration, steps: count.steps, warmup: count.warmup, sampler: sampler)
                benchmark.world = world
                benchmark.isProfiled = profile
                return try benchmark.run { if isPrinting { progress.update(step: $0) } }
            }
        }
        guard isPrinting else { return }
        progress.finish()
        let row = row(result, stage: stage, configuration)
        if json {
            print(JSONValue.object(row.map { JSONValue.Member($0.0, $0.1) }).text())
        } else {
            var table = Table(.text(""), .text(""))
            for (key, value) in row { table.append(key, value.string ?? value.text()) }
            print(table)
        }
        if let profile = result.profile { print("\n\(table(of: profile, result.stepSeconds))") }
    }

    /// The operators that take 0.3 % of a step or more.
    private func table(of profile: Profile, _ seconds: [Double]) -> Table {
        let whole = seconds.reduce(0, +)
        var table = Table(.text("operator"), .number("calls a step"), .number("ms a step"), .number("share"))
        func append(_ name: String, _ calls: String, _ seconds: Double) {
            let milliseconds = String(format: "%.2f", 1000 * seconds / Double(count.steps))
            table.append(name, calls, milliseconds, String(format: "%.1f %%", 100 * seconds / whole))
        }
        let (shown, others) = (
            profile.entries.filter { $0.seconds >= 0.003 * whole },
            profile.entries.filter { $0.seconds < 0.003 * whole }
        )
        for entry in shown { append(entry.name, "\(entry.calls / count.steps)", entry.seconds) }
        append("\(others.count) others", "", others.reduce(0) { $0 + $1.seconds })
        append("between them", "", whole - profile.entries.reduce(0) { $0 + $1.seconds })
        return table
    }

    /// The kernels that ran: the requested ones, unless a device cannot run them.
    private func kernels(on device: Device) -> String {
        guard kernelOptions.kernels == .fused, device.kind == .cuda, let problem = Kernels.cudaProblem(of: device)
        else {
            return kernelOptions.kernels.rawValue
        }
        return "plain: \(problem)"
    }

    /// A row with the keys of the PyTorch peer's benchmark, so that rows can be compared.
    private func row(
        _ result: StepBenchmark.Result, stage: String, _ c: TrainingConfiguration
    ) -> [(String, JSONValue)] {
        func rounded(_ value: Double, _ digits: Int) -> JSONValue {
            let factor = pow(10, Double(digits))
            return .number((value * factor).rounded() / factor)
        }
        func whole(_ value: Int) -> JSONValue { .int(Int64(value)) }
        let seconds = result.medianSeconds
        return [
            ("system", .string("transcend \(Version.current), libtorch \(Library.version)")), ("model", .string(model)),
            ("depth", whole(c.network.depth)), ("hidden", whole(c.network.hidden)), ("heads", whole(c.network.heads)),
            ("patch", whole(c.network.patchSize)), ("latent", whole(c.network.inputSize)),
            ("channels", whole(c.network.channels)),
            ("batch", whole(batch)), ("stage", .string(stage)), ("precision", .string(precision.rawValue)),
            ("kernels", .string(kernels(on: c.chosenDevice))), ("device", .string(c.chosenDevice.description)),
            ("threads", whole(Library.threads)), ("processes", whole(result.processes)),
            ("step_seconds", rounded(seconds, 5)), ("step_seconds_min", rounded(result.stepSeconds.min() ?? 0, 5)),
            ("images_per_second", rounded(Double(batch) / seconds, 3)),
            ("model_flops_per_step", .number(result.flopsPerStep)),
            ("matmul_flops_per_second", rounded(result.matmulFLOPsPerSecond, 0)),
            ("utilisation", rounded(result.flopsPerStep / seconds / result.matmulFLOPsPerSecond, 4)),
            ("peak_bytes", whole(result.peakBytes)), ("loss_first", rounded(result.firstLoss, 5)),
            ("loss_last", rounded(result.lastLoss, 5)),
        ]
    }
}

/// The number of timed steps.
struct BenchSteps: ParsableArguments {
    @Option(help: ArgumentHelp("Steps that are timed.", valueName: "n")) var steps = 10
    @Option(help: ArgumentHelp("Steps before those.", valueName: "n")) var warmup = 3

    func check() throws {
        guard (1...1_000_000).contains(steps), (0...1_000_000).contains(warmup) else {
            throw ConfigurationError("--steps and --warmup: give 1 to 1000000 and 0 to 1000000")
        }
    }
}
