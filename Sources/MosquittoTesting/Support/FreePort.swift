#if canImport(Darwin)
internal import Darwin
#elseif canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

/// Finds a TCP port of 127.0.0.1 on which nobody listens.
///
/// The port is not reserved: another process can take it before the caller does. Prefer `port: 0` where a server
/// takes it.
///
/// - Throws: ``MosquittoTestingError/systemCall(_:errno:)``.
public func freePort() throws(MosquittoTestingError) -> Int {
    let descriptor = LoopbackSocket.make()
    guard descriptor >= 0 else { throw .systemCall("socket", errno: errno) }
    defer { close(descriptor) }
    var address = LoopbackSocket.address(port: 0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let failed: String? = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
            if bind(descriptor, generic, length) != 0 { return "bind" }
            if getsockname(descriptor, generic, &length) != 0 { return "getsockname" }
            return nil
        }
    }
    if let failed { throw .systemCall(failed, errno: errno) }
    return Int(UInt16(bigEndian: address.sin_port))
}

/// The few socket calls that need no event loop.
enum LoopbackSocket {
    /// A TCP socket that a child process does not inherit, or -1.
    static func make() -> Int32 {
        #if canImport(Glibc)
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        #else
        let descriptor = socket(AF_INET, SOCK_STREAM, 0)
        #endif
        if descriptor >= 0 { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        return descriptor
    }

    static func address(port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        #if canImport(Darwin)
        address.sin_len = UInt8(MemoryLayout<sockaddr_in>.size)
        #endif
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(truncatingIfNeeded: port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }

    /// Whether a TCP connection to the loopback port is accepted. Loopback answers at once, so this does not block.
    static func accepts(port: Int) -> Bool {
        let descriptor = make()
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        var address = address(port: port)
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                connect(descriptor, generic, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
