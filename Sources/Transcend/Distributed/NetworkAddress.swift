import Foundation

/// Sockets for the rendezvous, which listen only on the given address.
enum NetworkAddress {
    /// The descriptor of a socket that listens on one address of this host. Throws a `ConfigurationError` if it is not
    /// one of this host's, or is taken.
    static func listen(host: String, port: Int) throws -> Int32 {
        try withAddress(of: host, port: port, type: SOCK_STREAM) { address, length in
            let descriptor = socket(Int32(address.pointee.sa_family), Int32(SOCK_STREAM.rawValue), 0)
            var on: Int32 = 1
            setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
            guard bind(descriptor, address, length) == 0, Foundation.listen(descriptor, 1024) == 0 else {
                let code = errno
                close(descriptor)
                let remedy =
                    code == EADDRNOTAVAIL
                    ? "give an address of the host on which rank 0 runs" : "give another port, the same to all ranks"
                throw ConfigurationError(
                    "MASTER_ADDR=\(host), MASTER_PORT=\(port): rank 0 cannot listen there (\(String(cString: strerror(code)))); "
                        + remedy)
            }
            return descriptor
        }
    }

    /// The numeric address of this host from which packets are sent to another one.
    static func own(toward host: String, port: Int) throws -> String {
        try withAddress(of: host, port: port, type: SOCK_DGRAM) { address, length in
            let descriptor = socket(Int32(address.pointee.sa_family), Int32(SOCK_DGRAM.rawValue), 0)
            defer { close(descriptor) }
            var own = sockaddr_storage()
            var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
            // Connecting a datagram socket sends nothing.
            guard connect(descriptor, address, length) == 0 else {
                throw ConfigurationError(
                    "MASTER_ADDR=\(host): this host has no way there (\(String(cString: strerror(errno))))")
            }
            return withUnsafeMutablePointer(to: &own) { storage in
                storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                    var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
                    getsockname(descriptor, pointer, &size)
                    getnameinfo(pointer, size, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
                    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
                }
            }
        }
    }

    private static func withAddress<Result>(
        of host: String, port: Int, type: __socket_type,
        _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Result
    ) throws -> Result {
        var hints = addrinfo()
        hints.ai_socktype = Int32(type.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, String(port), &hints, &found)
        guard status == 0, let found else {
            throw ConfigurationError(
                "MASTER_ADDR=\(host): there is no such host (\(String(cString: gai_strerror(status))))")
        }
        defer { freeaddrinfo(found) }
        return try body(found.pointee.ai_addr, found.pointee.ai_addrlen)
    }
}
