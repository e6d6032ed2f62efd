// SPDX-License-Identifier: Apache-2.0

import Dispatch

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The system's own name look-up and `connect`, with the time that each takes. Both block, on threads of their own.
enum AddressProbe {
    enum Names: Sendable {
        /// Numeric, in the system's order of preference.
        case found([String])
        /// The system's error text if the look-up failed.
        case failed(String)
    }

    static func lookUp(_ host: String) async -> Names { await blocking { resolve(host) } }

    /// Connects and closes again, without sending a byte.
    static func connect(_ address: String, port: Int, limit: Duration) async -> ConnectFacts.Address {
        await blocking {
            measured(address, limit) {
                var hints = addrinfo()
                hints.ai_family = AF_UNSPEC
                hints.ai_socktype = streamType
                hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV
                var list: UnsafeMutablePointer<addrinfo>?
                guard getaddrinfo(address, String(port), &hints, &list) == 0, let info = list?.pointee else {
                    return EADDRNOTAVAIL
                }
                defer { freeaddrinfo(list) }
                return connected(info.ai_family, info.ai_addr, info.ai_addrlen, limit)
            }
        }
    }

    static func connect(unixSocket path: String, limit: Duration) async -> ConnectFacts.Address {
        await blocking {
            measured(path, limit) {
                var address = sockaddr_un()
                address.sun_family = sa_family_t(AF_UNIX)
                let size = MemoryLayout.size(ofValue: address.sun_path)
                guard path.utf8.count < size else { return ENAMETOOLONG }
                withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
                return withUnsafePointer(to: &address) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        connected(AF_UNIX, $0, socklen_t(MemoryLayout<sockaddr_un>.size), limit)
                    }
                }
            }
        }
    }

    // MARK: On a thread that may block

    private static func resolve(_ host: String) -> Names {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = streamType
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, nil, &hints, &list)
        guard code == 0 else { return .failed(String(cString: gai_strerror(code))) }
        defer { freeaddrinfo(list) }
        var addresses: [String] = []
        var entry = list
        while let info = entry?.pointee {
            var name = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            if getnameinfo(info.ai_addr, info.ai_addrlen, &name, socklen_t(name.count), nil, 0, NI_NUMERICHOST) == 0 {
                let address = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
                if !addresses.contains(address) { addresses.append(address) }
            }
            entry = info.ai_next
        }
        return addresses.isEmpty ? .failed("it has no address of IPv4 or IPv6") : .found(addresses)
    }

    private static func measured(_ address: String, _ limit: Duration, _ body: () -> Int32) -> ConnectFacts.Address {
        let start = ContinuousClock.now
        let code = body()
        var result = ConnectFacts.Address(address: address, seconds: (ContinuousClock.now - start).inSeconds)
        if code != 0 {
            result.failure = failure(code)
            result.error = code == ETIMEDOUT ? "no answer" : String(cString: strerror(code))
        }
        return result
    }

    private static func failure(_ code: Int32) -> ConnectFacts.Failure {
        switch code {
        case ECONNREFUSED: .refused
        case ETIMEDOUT: .timeout
        case ENETUNREACH, EHOSTUNREACH, ENETDOWN, EHOSTDOWN: .unreachable
        default: .system
        }
    }

    /// 0, or `errno`.
    private static func connected(
        _ family: Int32, _ address: UnsafePointer<sockaddr>?, _ length: socklen_t, _ limit: Duration
    ) -> Int32 {
        let descriptor = socket(family, streamType, 0)
        guard descriptor >= 0 else { return errno }
        defer { close(descriptor) }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        if systemConnect(descriptor, address, length) == 0 { return 0 }
        guard errno == EINPROGRESS else { return errno }
        let end = ContinuousClock.now + limit
        while true {
            let left = max(0, (end - .now) / .milliseconds(1))
            var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            let count = poll(&entry, 1, Int32(min(left.rounded(.up), 1e9)))
            if count < 0, errno == EINTR { continue }
            if count == 0 { return ETIMEDOUT }
            if count < 0 { return errno }
            var code: Int32 = 0
            var size = socklen_t(MemoryLayout<Int32>.size)
            return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size) == 0 ? code : errno
        }
    }

    private static func blocking<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(returning: body()) }
        }
    }
}

#if canImport(Glibc)
private let streamType = Int32(SOCK_STREAM.rawValue)
#else
private let streamType = SOCK_STREAM
#endif

/// Calls `connect(2)` from file scope: inside the type, methods of the same name shadow it.
private func systemConnect(_ descriptor: Int32, _ address: UnsafePointer<sockaddr>?, _ length: socklen_t) -> Int32 {
    connect(descriptor, address, length)
}
