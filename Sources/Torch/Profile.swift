import CTorch

/// The time of a computation, operator by operator.
public struct Profile: Sendable {
    /// One operator of libtorch, or one of the program's own kernels.
    public struct Entry: Sendable {
        /// The name in libtorch; nodes of the backward pass have names of their own.
        public let name: String
        /// The number of calls.
        public let calls: Int
        /// The operator's own time in seconds, excluding the operators that it called. On CUDA the device was
        /// synchronised after each, which adds about 10 microseconds to every call.
        public let seconds: Double
    }

    /// The operators, those with the longest time first.
    public let entries: [Entry]

    /// Runs `body` on a device and profiles its operators in all threads; throws any error of `body`. Only one profile
    /// at a time.
    public static func of<Result>(on device: Device, _ body: () throws -> Result) throws -> (
        result: Result, profile: Profile
    ) {
        guard ct_profile_begin(device.kind == .cuda ? Int32(device.index) : -1) == 0 else {
            throw TorchError(Failure.lastSentence)
        }
        let result = Swift.Result { try body() }
        let collected = Collected()
        let status = ct_profile_end(
            { context, name, calls, seconds in
                Unmanaged<Collected>.fromOpaque(context!).takeUnretainedValue().entries.append(
                    Entry(name: String(cString: name!), calls: Int(calls), seconds: seconds))
            }, Unmanaged.passUnretained(collected).toOpaque())
        guard status == 0 else { throw TorchError(Failure.lastSentence) }
        return (try result.get(), Profile(entries: collected.entries.sorted { $0.seconds > $1.seconds }))
    }

    private final class Collected {
        var entries: [Entry] = []
    }
}
