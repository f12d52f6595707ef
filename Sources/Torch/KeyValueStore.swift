import CTorch

/// A connection to c10d's key-value store, through which processes find and monitor each other.
///
/// Each call queries the process that serves the store, and waits for its answer; calls of several threads are
/// serialised.
public final class KeyValueStore: @unchecked Sendable {
    let raw: OpaquePointer

    /// Connects to the store at `host` and `port`, whose keys all begin with `prefix`; fails after `timeout` seconds
    /// without an answer. With `listening`, the descriptor of a listening socket, this process serves the store and
    /// owns the socket.
    public init(host: String, port: Int, listening: Int32? = nil, prefix: String, timeout: Double) throws {
        var store: OpaquePointer?
        guard ct_store_open(host, Int32(port), listening ?? -1, prefix, timeout, &store) == 0, let store else {
            throw TorchError(Failure.lastSentence)
        }
        raw = store
    }

    deinit { ct_store_release(raw) }

    /// Sets the text of a key. Throws a `TorchError` if the store does not answer.
    public func set(_ key: String, _ text: String) throws { try check(ct_store_set(raw, key, text)) }

    /// The text of a key; nil if the key does not exist.
    public func text(_ key: String) throws -> String? {
        var isThere = false
        try check(ct_store_has(raw, key, &isThere))
        guard isThere else { return nil }
        var text: UnsafePointer<CChar>?
        try check(ct_store_get(raw, key, &text))
        return text.map { String(cString: $0) }
    }

    private func check(_ status: Int32) throws {
        if status != 0 { throw TorchError(Failure.lastSentence) }
    }
}
