import Diffusion
import Torch

extension TrainingConfiguration {
    /// Throws the first problem of the configuration, in one sentence, before anything is allocated.
    public func validate(prefix: String = "") throws {
        for (key, value) in ConfigurationTree.flattened(try ConfigurationTree.tree(of: self)) {
            let description = SettingsTable.setting(key, of: type(of: method.method))
            _ = try description?.checked(value, origin: prefix + key)
        }
        if let problem { throw ConfigurationError(prefix + problem) }
    }

    /// The largest step: steps are 32-bit words in the addresses of random numbers.
    static let largestStep = Int(UInt32.max)

    /// A violated constraint between settings, each of which is already allowed by the table.
    private var problem: String? {
        if let problem = network.problem { return problem }
        if let problem = method.method.problem(for: network) { return problem }
        if batch % accumulation != 0 {
            return "the batch \(batch) is not divisible into \(accumulation) micro-batches; choose a divisor"
        }
        if distributed.spreadState, method.method.follows == .average {
            return
                "distributed.spreadState: \(method.name) follows the averages, which every process needs; omit it"
        }
        if let problem = preview.sampler.problem { return "the preview: " + problem }
        return deviceProblem(device)
    }

    /// Throws if the batch cannot be split over so many processes.
    public func checkShares(of size: Int) throws {
        guard batch % (size * accumulation) != 0 else { return }
        let parts = accumulation == 1 ? "" : " of \(accumulation) micro-batches each"
        throw ConfigurationError(
            "the batch \(batch) is not divisible among \(size) processes\(parts); choose a multiple of \(size * accumulation)"
        )
    }

    /// The device to run on: the named one, or for "auto" the first CUDA device, else the CPU.
    public var chosenDevice: Device { chooseDevice(device) }
}

extension TrainingConfiguration {
    /// The configuration with its checkpoints resolved: a run's folder is replaced by its newest checkpoint, so that it
    /// stays the same while that run goes on. Throws if one is missing or does not fit.
    public func resolvingCheckpoints() throws -> TrainingConfiguration {
        if method.method.followedWeights != nil, teacher == nil {
            throw ConfigurationError("--stage \(method.name) follows a trained network; give its --teacher CHECKPOINT")
        }
        if method.method.followedWeights == nil, teacher != nil {
            throw ConfigurationError("--teacher: \(method.name) follows no other network; leave it out")
        }
        var resolved = try resolvingStart()
        resolved.teacher = try find(teacher, "--teacher")?.path
        return resolved
    }

    /// The configuration with only its starting checkpoints resolved.
    func resolvingStart() throws -> TrainingConfiguration {
        var resolved = self
        if initialWeights != nil, initialState != nil {
            throw ConfigurationError("--init and --resume: a run starts from one of them; leave the other out")
        }
        resolved.initialWeights = try find(initialWeights, "--init")?.path
        let start = try find(initialState, "--resume")
        try start?.checkResuming(self)
        resolved.initialState = start?.path
        return resolved
    }

    private func find(_ path: String?, _ flag: String) throws -> Checkpoint? {
        guard let path else { return nil }
        let checkpoint = try Checkpoint(path)
        if let misfit = network.misfit(of: checkpoint.state.configuration.network) {
            throw ConfigurationError("\(flag) \(path): \(misfit)")
        }
        return checkpoint
    }
}

/// The problem with a device name; nil if it can be used.
public func deviceProblem(_ name: String) -> String? {
    if name == "auto" { return nil }
    guard let device = Device(name) else { return "the device \(name) is unknown; choose auto, cpu, cuda or cuda:N" }
    if device.kind == .cuda, device.index >= Library.cudaDevices {
        let reason = Library.cudaProblem ?? "there are \(Library.cudaDevices) CUDA devices"
        return "the device \(name) is not there: \(reason)"
    }
    return nil
}

/// The device with a name accepted by `deviceProblem`; "auto" is the first CUDA device, otherwise the CPU.
public func chooseDevice(_ name: String) -> Device {
    if name == "auto" { return Library.cudaDevices > 0 ? Device(kind: .cuda) : .cpu }
    return Device(name) ?? .cpu
}
