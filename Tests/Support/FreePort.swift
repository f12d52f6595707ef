import Foundation

/// A socket that listens on a free port of the loopback interface.
public struct FreePort: Sendable {
    /// The socket, which whoever serves there owns.
    public let descriptor: Int32
    /// The port.
    public let number: Int

    /// Throws a `POSIXError` where none is to be had.
    public init() throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, address, length) + listen(descriptor, 8) + getsockname(descriptor, address, &length)
            }
        }
        guard status == 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
        (self.descriptor, number) = (descriptor, Int(UInt16(bigEndian: address.sin_port)))
    }

    /// A port that was free a moment ago, for a process that will listen there.
    public static func number() throws -> Int {
        let port = try FreePort()
        close(port.descriptor)
        return port.number
    }
}
