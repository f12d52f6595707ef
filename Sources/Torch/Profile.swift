import CTorch

/// Where the time of a computation went, operator by operator.
public struct Profile: Sendable {
    /// One operator of libtorch, or one kernel of our own.
    public struct Entry: Sendable {
        /// As libtorch calls it; nodes of the backward pass have names of their own.
        public let name: String
        /// How often it ran.
        public let calls: Int
        /// How long it was at work itself, without the operators that it called. On CUDA the device was waited for after each, which
        /// adds about 10 microseconds to every call.
        public let seconds: Double
    }

    /// Those that took longest first.
    public let entries: [Entry]

    /// Runs `body` on a device and watches its operators, in all threads; throws what it throws. One profile at a time.
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
