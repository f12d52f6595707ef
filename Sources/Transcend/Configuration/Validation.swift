import Diffusion
import Torch

extension TrainingConfiguration {
    /// Throws the first thing that is impossible, in one sentence, before anything is allocated.
    public func validate(prefix: String = "") throws {
        if let problem = problem { throw ConfigurationError(prefix + problem) }
    }

    /// Steps are words of 32 bits in the addresses of random numbers.
    static let largestStep = Int(UInt32.max)

    private var problem: String? {
        if let problem = network.problem { return problem }
        if let problem = method.method.problem(for: network) { return problem }
        if !(1...1 << 20).contains(batch) { return "the batch \(batch) must be 1 to \(1 << 20)" }
        if accumulation < 1 || batch % accumulation != 0 {
            return "the batch \(batch) is not divisible into \(accumulation) micro-batches; choose a divisor"
        }
        if !(1...Self.largestStep).contains(steps) {
            return "the number of steps \(steps) must be 1 to \(Self.largestStep)"
        }
        if !(0...Self.largestStep).contains(schedule.warmupSteps) {
            return "the warm-up of \(schedule.warmupSteps) steps must be 0 or more"
        }
        if !(schedule.learningRate > 0 && schedule.learningRate.isFinite) {
            return "the learning rate \(schedule.learningRate) must be above 0"
        }
        if !(0...1).contains(diffusion.labelDrop) {
            return "the probability \(diffusion.labelDrop) of dropping a label must be 0 to 1"
        }
        if !(optimizer.emaDecay >= 0 && optimizer.emaDecay < 1) {
            return "the decay \(optimizer.emaDecay) of the average must be 0 or more and below 1"
        }
        if optimizer.maximumGradientNorm < 0 { return "the largest gradient norm must be 0 (no clipping) or more" }
        if !(0...1024).contains(preview.classes) || !(0...1024).contains(preview.perClass) {
            return "the preview's classes and samples of each must be 0 to 1024"
        }
        if let problem = preview.sampler.problem { return "the preview: " + problem }
        if let problem = optimizer.adamW.problem { return problem }
        if output.checkpointEvery < 1 || output.logEvery < 1 {
            return "the intervals of checkpoints and of the log must be 1 step or more"
        }
        if output.sampleEvery < 0 || output.keepCheckpoints < 0 {
            return "the interval of samples (0: none) and the checkpoints to keep (0: all) must be 0 or more"
        }
        if output.keepEvery < 0 { return "the interval of checkpoints that stay (0: none) must be 0 or more" }
        if !(output.lossRiseFactor == 0 || output.lossRiseFactor > 1 && output.lossRiseFactor.isFinite) {
            return "the factor of a rising loss must be above 1, or 0 for no warning"
        }
        if optimizer.skipNonfinite < 0 { return "the steps to skip where they are not finite must be 0 or more" }
        return deviceProblem(device)
    }

    /// The device to run on: the named one, or for "auto" the first CUDA device, else the CPU.
    public var chosenDevice: Device { chooseDevice(device) }
}

extension TrainingConfiguration {
    /// The configuration with the checkpoints that it names found: a run's folder becomes that of its newest checkpoint, so
    /// that it stays the same while that run goes on. Throws if one is missing or of another network.
    public func resolvingCheckpoints() throws -> TrainingConfiguration {
        var resolved = self
        if method.method.followedWeights != nil, teacher == nil {
            throw ConfigurationError("--stage \(method.name) follows a trained network; give its --teacher CHECKPOINT")
        }
        func find(_ path: String?, _ flag: String) throws -> String? {
            guard let path else { return nil }
            let checkpoint = try Checkpoint(path)
            if let misfit = network.misfit(of: checkpoint.state.configuration.network) {
                throw ConfigurationError("\(flag) \(path): \(misfit)")
            }
            return checkpoint.path
        }
        resolved.teacher = try find(teacher, "--teacher")
        resolved.initialWeights = try find(initialWeights, "--init")
        return resolved
    }
}

/// What is wrong with the name of a device; nil if it can be used.
public func deviceProblem(_ name: String) -> String? {
    if name == "auto" { return nil }
    guard let device = Device(name) else { return "the device \(name) is unknown; choose auto, cpu, cuda or cuda:N" }
    if device.kind == .cuda, device.index >= Library.cudaDevices {
        return "the device \(name) is not there (\(Library.cudaDevices) CUDA devices); `transcend doctor` says why"
    }
    return nil
}

/// The device of that name, which `deviceProblem` has accepted; "auto" is the first CUDA device, else the CPU.
public func chooseDevice(_ name: String) -> Device {
    if name == "auto" { return Library.cudaDevices > 0 ? Device(kind: .cuda) : .cpu }
    return Device(name) ?? .cpu
}
