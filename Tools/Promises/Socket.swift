import MosquittoTesting

#if canImport(Darwin)
import Darwin
#else
import Glibc
#endif

/// The socket calls of the forwarder.
enum Socket {
    enum Bytes {
        case notYet
        case end
        case received([UInt8])
    }

    /// A listener at a free port of 127.0.0.1.
    static func listen() throws(MosquittoTestingError) -> (descriptor: Int32, port: Int) {
        let port = try freePort()
        let descriptor = make()
        guard descriptor >= 0 else { throw .systemCall("socket", errno: errno) }
        setOption(descriptor, SOL_SOCKET, SO_REUSEADDR, Int32(1))
        guard withAddress(port, { bind(descriptor, $0, $1) }) == 0, systemListen(descriptor, 128) == 0 else {
            throw .systemCall("listen", errno: errno)
        }
        makeNonBlocking(descriptor)
        return (descriptor, port)
    }

    static func accept(_ listener: Int32) -> Int32? {
        let descriptor = systemAccept(listener)
        guard descriptor >= 0 else { return nil }
        prepare(descriptor)
        return descriptor
    }

    /// Loopback connects at once, so this does not block.
    static func connect(to port: Int) -> Int32? {
        let descriptor = make()
        guard descriptor >= 0 else { return nil }
        guard withAddress(port, { systemConnect(descriptor, $0, $1) }) == 0 else {
            close(descriptor)
            return nil
        }
        prepare(descriptor)
        return descriptor
    }

    /// `nil` if the connection has failed.
    static func receive(from descriptor: Int32, atMost limit: Int) -> Bytes? {
        var count = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, initialized in
            count = recv(descriptor, buffer.baseAddress, limit, 0)
            initialized = max(0, count)
        }
        if count > 0 { return .received(bytes) }
        if count == 0 { return .end }
        return errno == EAGAIN || errno == EINTR ? .notYet : nil
    }

    /// Returns the number of bytes sent; `nil` if the connection has failed.
    static func send(_ bytes: ArraySlice<UInt8>, to descriptor: Int32) -> Int? {
        #if canImport(Darwin)
        let flags: Int32 = 0
        #else
        let flags = Int32(MSG_NOSIGNAL)
        #endif
        let count = bytes.withUnsafeBytes { systemSend(descriptor, $0.baseAddress, $0.count, flags) }
        if count >= 0 { return count }
        return errno == EAGAIN || errno == EINTR ? 0 : nil
    }

    /// Without lingering, close(2) sends a RST instead of a FIN.
    static func resetOnClose(_ descriptor: Int32) {
        setOption(descriptor, SOL_SOCKET, SO_LINGER, linger(l_onoff: 1, l_linger: 0))
    }

    static func setReceiveBuffer(_ descriptor: Int32, _ bytes: Int32) {
        setOption(descriptor, SOL_SOCKET, SO_RCVBUF, bytes)
    }

    /// Returns true if the descriptor is ready for one of these events, or has failed, within the time.
    static func waitUntilReady(_ descriptor: Int32, _ events: Int32, milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        return poll(&entry, 1, milliseconds) > 0
    }

    static func pipe(_ descriptors: inout [Int32]) -> Int32 {
        let result = systemPipe(&descriptors)
        for descriptor in descriptors where result == 0 {
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            makeNonBlocking(descriptor)
        }
        return result
    }

    static func ring(_ bell: Int32) {
        var byte: UInt8 = 0
        _ = write(bell, &byte, 1)
    }

    static func silence(_ bell: Int32) {
        var bytes = [UInt8](repeating: 0, count: 64)
        while read(bell, &bytes, bytes.count) > 0 {}
    }

    private static func make() -> Int32 {
        #if canImport(Darwin)
        let descriptor = socket(AF_INET, SOCK_STREAM, 0)
        #else
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        #endif
        if descriptor >= 0 { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        return descriptor
    }

    private static func prepare(_ descriptor: Int32) {
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        makeNonBlocking(descriptor)
        setOption(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, Int32(1))
        #if canImport(Darwin)
        setOption(descriptor, SOL_SOCKET, SO_NOSIGPIPE, Int32(1))
        #endif
    }

    private static func makeNonBlocking(_ descriptor: Int32) {
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    }

    private static func setOption<T>(_ descriptor: Int32, _ level: Int32, _ name: Int32, _ value: T) {
        withUnsafePointer(to: value) { pointer in
            _ = setsockopt(descriptor, level, name, pointer, socklen_t(MemoryLayout<T>.size))
        }
    }

    private static func withAddress<R>(_ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        var address = sockaddr_in()
        #if canImport(Darwin)
        address.sin_len = UInt8(MemoryLayout<sockaddr_in>.size)
        #endif
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(truncatingIfNeeded: port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}

// Out of reach of the functions of the same names.
private func systemListen(_ descriptor: Int32, _ backlog: Int32) -> Int32 { listen(descriptor, backlog) }
private func systemAccept(_ descriptor: Int32) -> Int32 { accept(descriptor, nil, nil) }
private func systemConnect(_ descriptor: Int32, _ address: UnsafePointer<sockaddr>, _ length: socklen_t) -> Int32 {
    connect(descriptor, address, length)
}
private func systemSend(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int, _ flags: Int32) -> Int {
    send(descriptor, bytes, count, flags)
}
private func systemPipe(_ descriptors: inout [Int32]) -> Int32 { pipe(&descriptors) }
