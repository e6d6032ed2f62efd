import MosquittoTesting

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// A port whose SYNs are never answered: a listener that accepts nothing and whose backlog is full.
final class Blackhole: Sendable {
    let port: Int
    private let sockets: [Int32]

    /// - Parameter port: one at which nobody else listens, or 0 for any.
    init(address host: UInt32 = 0x7F00_0001, port: Int = 0) throws {
        func tcpSocket() -> Int32 {
            #if os(Linux)
            socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            #else
            socket(AF_INET, SOCK_STREAM, 0)
            #endif
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = host.bigEndian
        address.sin_port = UInt16(port).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = tcpSocket()
        var bound: Int32 = -1
        withUnsafeMutableBytes(of: &address) {
            let pointer = $0.baseAddress?.assumingMemoryBound(to: sockaddr.self)
            bound = bind(listener, pointer, size)
            _ = listen(listener, 0)
            _ = getsockname(listener, pointer, &size)
        }
        if bound != 0 {
            let code = errno
            close(listener)
            throw MosquittoTestingError.systemCall("bind", errno: code)
        }
        self.port = Int(UInt16(bigEndian: address.sin_port))
        var sockets = [listener]
        // One connection fills the backlog of 0; the others are there because systems round it up.
        for _ in 0..<8 {
            let filler = tcpSocket()
            _ = fcntl(filler, F_SETFL, O_NONBLOCK)
            withUnsafeMutableBytes(of: &address) {
                _ = connect(filler, $0.baseAddress?.assumingMemoryBound(to: sockaddr.self), size)
            }
            sockets.append(filler)
        }
        self.sockets = sockets
    }

    deinit { for socket in sockets { close(socket) } }
}
