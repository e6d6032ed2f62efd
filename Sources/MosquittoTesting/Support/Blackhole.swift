// SPDX-License-Identifier: Apache-2.0

#if canImport(Darwin)
internal import Darwin
#elseif canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

/// A TCP port whose SYNs are never answered, as behind a firewall that drops them: a listener that accepts nothing, and
/// whose backlog is full. A connection to it ends by a timeout.
///
/// The port is free again when the last reference goes away. Linux behaves so; other systems may refuse instead.
public final class Blackhole: Sendable {
    /// The port at which nothing is answered.
    public let port: Int
    private let sockets: [Int32]

    /// Fills the backlog of a new listener.
    ///
    /// - Parameters:
    ///   - address: An IPv4 address of this machine.
    ///   - port: A port of that address at which nobody listens; 0 for any.
    /// - Throws: ``MosquittoTestingError/invalidAddress(_:)`` or ``MosquittoTestingError/systemCall(_:errno:)``.
    public init(address: String = "127.0.0.1", port: Int = 0) throws(MosquittoTestingError) {
        var socketAddress = LoopbackSocket.address(port: port)
        guard inet_pton(AF_INET, address, &socketAddress.sin_addr) == 1 else { throw .invalidAddress(address) }
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = LoopbackSocket.make()
        guard listener >= 0 else { throw .systemCall("socket", errno: errno) }
        var bound: Int32 = -1
        withUnsafeMutableBytes(of: &socketAddress) {
            let pointer = $0.baseAddress?.assumingMemoryBound(to: sockaddr.self)
            bound = bind(listener, pointer, size)
            #if canImport(Darwin)
            // 0 stands for the largest backlog (solisten in XNU).
            _ = listen(listener, 1)
            #else
            _ = listen(listener, 0)
            #endif
            _ = getsockname(listener, pointer, &size)
        }
        if bound != 0 {
            let code = errno
            close(listener)
            throw .systemCall("bind", errno: code)
        }
        self.port = Int(UInt16(bigEndian: socketAddress.sin_port))
        var sockets = [listener]
        // One connection fills the backlog of 0; the others are there because systems round it up.
        for _ in 0..<8 {
            let filler = LoopbackSocket.make()
            _ = fcntl(filler, F_SETFL, O_NONBLOCK)
            withUnsafeMutableBytes(of: &socketAddress) {
                _ = connect(filler, $0.baseAddress?.assumingMemoryBound(to: sockaddr.self), size)
            }
            sockets.append(filler)
        }
        self.sockets = sockets
    }

    deinit { for socket in sockets { close(socket) } }
}
