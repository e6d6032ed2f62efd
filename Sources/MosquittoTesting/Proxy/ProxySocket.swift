// SPDX-License-Identifier: Apache-2.0

internal import Mosquitto

#if canImport(Darwin)
internal import Darwin
#elseif canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

/// The system calls of the proxy: sockets that never block once they are connected.
struct ProxySocket: Sendable {
    let descriptor: Int32
    let isUnix: Bool

    private init(_ family: Int32) throws(MosquittoTestingError) {
        isUnix = family == AF_UNIX
        descriptor = LoopbackSocket.make(family)
        guard descriptor >= 0 else { throw .systemCall("socket", errno: errno) }
    }

    private init(accepted descriptor: Int32, isUnix: Bool) {
        self.descriptor = descriptor
        self.isUnix = isUnix
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        makeReady()
    }

    /// Listens at a free port of 127.0.0.1. Accepted connections have kernel buffers of this size.
    init(listeningOn kernelBuffer: Int32?) throws(MosquittoTestingError) {
        try self.init(AF_INET)
        limit(kernelBuffer)
        var address = LoopbackSocket.address(port: 0)
        try withUnsafeBytes(of: &address) { bytes throws(MosquittoTestingError) in try listen(at: bytes) }
    }

    /// Listens at a Unix socket.
    init(listeningAt path: String) throws(MosquittoTestingError) {
        try self.init(AF_UNIX)
        var address = Self.unix(path)
        try withUnsafeBytes(of: &address) { bytes throws(MosquittoTestingError) in try listen(at: bytes) }
    }

    /// Connects to a port of 127.0.0.1 or to a Unix socket, which answer at once.
    init(connectingTo broker: MQTTEndpoint, kernelBuffer: Int32?) throws(MosquittoTestingError) {
        try self.init(broker.isUnixSocket ? AF_UNIX : AF_INET)
        limit(kernelBuffer)
        var inet = LoopbackSocket.address(port: broker.port)
        var unix = Self.unix(broker.host)
        func connect<T>(_ address: inout T) -> Int32 {
            withUnsafeBytes(of: &address) {
                systemConnect(
                    descriptor, $0.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
            }
        }
        let result = broker.isUnixSocket ? connect(&unix) : connect(&inet)
        if result != 0 {
            let code = errno
            closeDescriptor(descriptor)
            throw .systemCall("connect", errno: code)
        }
        makeReady()
    }

    private func listen(at address: UnsafeRawBufferPointer) throws(MosquittoTestingError) {
        let pointer = address.baseAddress?.assumingMemoryBound(to: sockaddr.self)
        if bind(descriptor, pointer, socklen_t(address.count)) != 0 || systemListen(descriptor, 128) != 0 {
            let code = errno
            closeDescriptor(descriptor)
            throw .systemCall("bind", errno: code)
        }
    }

    private static func unix(_ path: String) -> sockaddr_un {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        return address
    }

    private func limit(_ kernelBuffer: Int32?) {
        guard let kernelBuffer else { return }
        set(SOL_SOCKET, SO_RCVBUF, kernelBuffer)
        set(SOL_SOCKET, SO_SNDBUF, kernelBuffer)
    }

    private func makeReady() {
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        set(Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        #if canImport(Darwin)
        set(SOL_SOCKET, SO_NOSIGPIPE, 1)
        #endif
    }

    private func set(_ level: Int32, _ option: Int32, _ value: Int32) {
        var value = value
        setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    /// The port of a listener.
    var port: Int {
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutableBytes(of: &address) {
            _ = getsockname(descriptor, $0.baseAddress?.assumingMemoryBound(to: sockaddr.self), &size)
        }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    func accept() -> ProxySocket? {
        let accepted = systemAccept(descriptor, nil, nil)
        return accepted < 0 ? nil : ProxySocket(accepted: accepted, isUnix: isUnix)
    }

    enum Result {
        case bytes(Int)
        case wouldBlock
        case end
        case failed
    }

    func receive(into buffer: UnsafeMutableRawBufferPointer) -> Result {
        let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
        return count == 0 ? .end : Self.result(count)
    }

    /// - Parameter isLast: whether FIN follows at once, and is to go into the same segment.
    func send(_ bytes: UnsafeRawBufferPointer, isLast: Bool) -> Result {
        #if os(Linux)
        let flags = Int32(MSG_NOSIGNAL) | (isLast ? Int32(MSG_MORE) : 0)
        #else
        let flags: Int32 = 0
        #endif
        return Self.result(systemSend(descriptor, bytes.baseAddress, bytes.count, flags))
    }

    private static func result(_ count: Int) -> Result {
        if count >= 0 { return .bytes(count) }
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? .wouldBlock : .failed
    }

    /// Number of bytes sent that have not reached the receiver: its kernel with TCP, its program with a Unix socket
    /// (Linux; 0 on Darwin, where sent bytes are in the receiver's buffer at once).
    var unread: Int {
        var count: Int32 = 0
        #if canImport(Darwin)
        var size = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(descriptor, SOL_SOCKET, SO_NWRITE, &count, &size) == 0 ? Int(count) : 0
        #else
        return ioctl(descriptor, UInt(TIOCOUTQ), &count) == 0 ? Int(count) : 0
        #endif
    }

    /// Sends FIN.
    func finishWriting() { _ = shutdown(descriptor, Int32(SHUT_WR)) }

    func close() { closeDescriptor(descriptor) }

    /// Makes ``close()`` send RST instead of FIN.
    func setToReset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }
}

// Called from file scope: inside the type, methods of the same names shadow the system calls.
private func closeDescriptor(_ descriptor: Int32) { close(descriptor) }
private func systemListen(_ descriptor: Int32, _ backlog: Int32) -> Int32 { listen(descriptor, backlog) }
private func systemAccept(
    _ descriptor: Int32, _ address: UnsafeMutablePointer<sockaddr>?, _ size: UnsafeMutablePointer<socklen_t>?
) -> Int32 { accept(descriptor, address, size) }
private func systemConnect(
    _ descriptor: Int32, _ address: UnsafePointer<sockaddr>?, _ size: socklen_t
) -> Int32 { connect(descriptor, address, size) }
private func systemSend(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int, _ flags: Int32) -> Int {
    send(descriptor, bytes, count, flags)
}
