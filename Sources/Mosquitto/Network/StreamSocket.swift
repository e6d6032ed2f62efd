// SPDX-License-Identifier: Apache-2.0

import CMosquittoShim

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// `send(2)` without SIGPIPE, under a name that a method called `send` does not hide.
private func sendBytes(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
    #if canImport(Darwin)
    send(descriptor, bytes.baseAddress, bytes.count, 0)  // see makeOwn(_:)
    #else
    send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
    #endif
}

/// The system calls on a non-blocking stream socket.
struct StreamSocket {
    let descriptor: Int32

    /// Creates a TCP socket and begins to connect it to a numeric address. Throws the `errno` of a call that fails at
    /// once.
    ///
    /// - Parameter local: the numeric address to connect from.
    init(connectingTo address: String, port: Int, from local: String? = nil) throws(SystemCallError) {
        guard let list = Self.numeric(address, port: port) else { throw SystemCallError(code: EADDRNOTAVAIL) }
        defer { freeaddrinfo(list) }
        let info = list.pointee
        descriptor = socket(info.ai_family, ownStreamType, 0)
        if descriptor < 0 { throw SystemCallError(code: errno) }
        makeOwn(descriptor)
        setOptions()
        if !bind(to: local) || connect(descriptor, info.ai_addr, info.ai_addrlen) != 0, errno != EINPROGRESS {
            let code = errno
            closeDescriptor(descriptor)
            throw SystemCallError(code: code)
        }
    }

    /// Creates a Unix socket and connects it to a path. Throws the `errno` of a call that fails at once.
    init(connectingTo path: String) throws(SystemCallError) {
        descriptor = socket(AF_UNIX, ownStreamType, 0)
        if descriptor < 0 { throw SystemCallError(code: errno) }
        makeOwn(descriptor)
        setOptions()
        let isConnected = withUnixAddress(path) { [descriptor] in connect(descriptor, $0, $1) == 0 }
        if !isConnected, errno != EINPROGRESS {
            let code = errno
            closeDescriptor(descriptor)
            throw SystemCallError(code: code)
        }
    }

    private func bind(to local: String?) -> Bool {
        guard let local else { return true }
        guard let list = Self.numeric(local, port: 0) else {
            errno = EADDRNOTAVAIL
            return false
        }
        defer { freeaddrinfo(list) }
        return bindDescriptor(descriptor, list.pointee.ai_addr, list.pointee.ai_addrlen) == 0
    }

    private static func numeric(_ address: String, port: Int) -> UnsafeMutablePointer<addrinfo>? {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = streamType
        hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV
        var list: UnsafeMutablePointer<addrinfo>?
        return getaddrinfo(address, String(port), &hints, &list) == 0 ? list : nil
    }

    init(descriptor: Int32) { self.descriptor = descriptor }

    /// Returns two connected sockets, or `nil` with `errno` set.
    static func pair(bufferSize: Int32) -> (StreamSocket, StreamSocket)? {
        var descriptors: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, ownStreamType, 0, &descriptors) == 0 else { return nil }
        for descriptor in descriptors {
            makeOwn(descriptor)
            var size = bufferSize
            let length = socklen_t(MemoryLayout<Int32>.size)
            setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &size, length)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, length)
        }
        return (StreamSocket(descriptor: descriptors[0]), StreamSocket(descriptor: descriptors[1]))
    }

    private func setOptions() {
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Returns the result of a connect in progress: 0, or the `errno` of its failure.
    func connectResult() -> Int32 {
        var error: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        if getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) != 0 { return errno }
        if error != 0 { return error }
        var address = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let connected = withUnsafeMutableBytes(of: &address) {
            getpeername(descriptor, $0.baseAddress?.assumingMemoryBound(to: sockaddr.self), &size)
        }
        // Darwin: EINVAL for a socket that is shut down in both directions.
        return connected == 0 ? 0 : errno == ENOTCONN || errno == EINVAL ? ECONNREFUSED : errno
    }

    /// Limits the time for which sent bytes may stay unacknowledged before the system closes the connection. Darwin
    /// counts from the first retransmission, and not while the peer's window is closed.
    func setUserTimeout(_ timeout: Duration) {
        #if os(Linux)
        var limit = Int32(clamping: timeout.components.seconds * 1_000)
        let option = TCP_USER_TIMEOUT
        #else
        var limit = Int32(clamping: timeout.components.seconds)
        let option = TCP_RXT_CONNDROPTIME
        #endif
        setsockopt(descriptor, Int32(IPPROTO_TCP), option, &limit, socklen_t(MemoryLayout<Int32>.size))
    }

    /// The outcome of a transfer.
    enum Transfer {
        case bytes(Int)
        case nothing
        case end
        case failed(Int32)
    }

    func receive(into buffer: UnsafeMutableRawBufferPointer) -> Transfer { receive(into: buffer, flags: 0) }

    /// Copies received bytes, which the next call of ``receive(into:)`` returns again.
    func peek(into buffer: UnsafeMutableRawBufferPointer) -> Transfer { receive(into: buffer, flags: Int32(MSG_PEEK)) }

    private func receive(into buffer: UnsafeMutableRawBufferPointer, flags: Int32) -> Transfer {
        while true {
            let count = recv(descriptor, buffer.baseAddress, buffer.count, flags)
            if count > 0 { return .bytes(count) }
            if count == 0 { return .end }
            if errno == EINTR { continue }
            return errno == EAGAIN || errno == EWOULDBLOCK ? .nothing : .failed(errno)
        }
    }

    /// Acknowledges received bytes without the usual delay. A broker that uses Nagle's algorithm holds its next small
    /// segment back until then: after a TLS handshake, the CONNACK would follow the session tickets 40 ms late. Linux
    /// resets the option with the next segment.
    func acknowledgeAtOnce() {
        #if os(Linux)
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_QUICKACK, &one, socklen_t(MemoryLayout<Int32>.size))
        #endif
    }

    func send(_ bytes: UnsafeRawBufferPointer) -> Transfer {
        while true {
            let count = sendBytes(descriptor, bytes)
            if count >= 0 { return .bytes(count) }
            if errno == EINTR { continue }
            return errno == EAGAIN || errno == EWOULDBLOCK ? .nothing : .failed(errno)
        }
    }

    /// Number of bytes that can be read.
    var inputCount: Int { Int(cmq_input_count(descriptor)) }

    /// Number of bytes in the system's buffer, including those that the peer's system has not acknowledged; 0 if
    /// unknown.
    var outputCount: Int { Int(cmq_output_count(descriptor)) }

    /// Closes the writing side.
    func finishWriting() { _ = shutdown(descriptor, Int32(SHUT_WR)) }

    /// Closes the connection, even if another descriptor of it exists, and closes this descriptor.
    func close() {
        _ = shutdown(descriptor, Int32(SHUT_RDWR))
        closeDescriptor(descriptor)
    }
}
