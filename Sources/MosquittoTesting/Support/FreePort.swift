// SPDX-License-Identifier: Apache-2.0

#if canImport(Darwin)
internal import Darwin
#elseif canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

/// Finds a free TCP port of 127.0.0.1. No other call returns the port, in any process that runs at the same time.
///
/// The port is below the range that systems assign to clients and to listeners on port 0 (Linux from 32768, macOS from
/// 49152): tests that run at the same time use many ports of that range. A program that does not use this function may
/// take the port; prefer `port: 0` if the server supports it.
///
/// - Throws: ``MosquittoTestingError/systemCall(_:errno:)``, with `EADDRINUSE` once this process has had all ports.
public func freePort() throws(MosquittoTestingError) -> Int { try PortReservations.shared.next() }

/// The socket calls that need no event loop.
enum LoopbackSocket {
    /// A stream socket that a child process does not inherit, or -1.
    static func make(_ family: Int32 = AF_INET) -> Int32 {
        #if canImport(Glibc)
        let descriptor = socket(family, Int32(SOCK_STREAM.rawValue), 0)
        #else
        let descriptor = socket(family, SOCK_STREAM, 0)
        #endif
        if descriptor >= 0 { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        return descriptor
    }

    /// Throws if the port of 127.0.0.1 is taken.
    static func checkBind(port: Int) throws(MosquittoTestingError) {
        let descriptor = make()
        guard descriptor >= 0 else { throw .systemCall("socket", errno: errno) }
        defer { close(descriptor) }
        var address = address(port: port)
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(descriptor, generic, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if result != 0 { throw .systemCall("bind", errno: errno) }
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

    /// Returns true if the loopback port accepts a TCP connection. Loopback answers at once, so this call does not
    /// block.
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
