import Foundation

/// The memory of this process, according to the system.
public enum ProcessMemory {
    /// The resident memory in bytes.
    public static var residentBytes: Int {
        // The second number of statm: resident pages.
        let numbers = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ") ?? []
        return numbers.count > 1 ? (Int(numbers[1]) ?? 0) * sysconf(Int32(_SC_PAGESIZE)) : 0
    }

    /// The peak resident memory in bytes.
    public static var peakBytes: Int {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return usage.ru_maxrss * 1024
    }

    /// Throws a `ConfigurationError` if the training state exceeds this machine's memory, into which checkpoints copy
    /// it from any device; on the CPU each of the `onHost` processes of this host has its own.
    package static func check(
        stateOf configuration: TrainingConfiguration, ranks: Int = 1, onHost: Int = 1
    ) throws {
        let cost = CostEstimate(configuration)
        let memory = ProcessInfo.processInfo.physicalMemory
        let each = cost.stateBytes(ranks: ranks, isSpread: configuration.distributed.spreadState)
        let bytes = configuration.chosenDevice.kind == .cpu ? each * onHost : each
        guard bytes > memory else { return }
        throw ConfigurationError(
            "a network of \(readableCount(cost.networkParameters)) parameters takes \(readableBytes(bytes)) to train, "
                + "this machine has \(readableBytes(Int(memory))); give a smaller one")
    }

    /// Throws a `ConfigurationError` if so many float32 arrays of a whole batch exceed this machine's memory, where
    /// they are made before the network sees them.
    static func check(arrays: Int, ofBatch batch: Int, elementsPerSample: Int) throws {
        let needed = 4 * Double(arrays) * Double(batch) * Double(elementsPerSample)
        let memory = ProcessInfo.processInfo.physicalMemory
        guard needed > Double(memory) else { return }
        throw ConfigurationError(
            "--batch \(batch): the batches that are loaded ahead take \(Int(needed / 1e9)) GB, this machine has "
                + "\(readableBytes(Int(memory))); give a smaller one")
    }
}
