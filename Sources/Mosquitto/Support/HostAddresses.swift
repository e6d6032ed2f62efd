// SPDX-License-Identifier: Apache-2.0

#if canImport(Darwin)
import Darwin
#elseif canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The numeric addresses of a host, by `getaddrinfo`.
enum HostAddresses {
    /// Numeric addresses in the system's order of preference, or the reason for their absence.
    typealias Answer = Result<[String], MQTTError>

    /// Returns the address itself if `host` is one, an IPv6 scope included.
    static func numeric(_ host: String) -> String? {
        try? lookUp(host, flags: AI_NUMERICHOST).get().first
    }

    /// Looks a name up, which blocks and cannot be cancelled.
    static func of(_ host: String) -> Answer { lookUp(host, flags: 0) }

    /// Returns the 4 or 16 bytes of a numeric address without a scope, in network order; `nil` if `text` is none.
    static func bytes(_ text: String) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, text, &bytes) == 1 { return Array(bytes[..<4]) }
        return inet_pton(AF_INET6, text, &bytes) == 1 ? bytes : nil
    }

    private static func lookUp(_ host: String, flags: Int32) -> Answer {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = streamType
        hints.ai_flags = flags
        var list: UnsafeMutablePointer<addrinfo>?
        let rc = getaddrinfo(host, nil, &hints, &list)
        guard rc == 0 else {
            var error = MQTTError(
                .dns, "host \(quoted(host)) did not resolve: \(String(cString: gai_strerror(rc)))", phase: .resolve)
            error.systemCode = rc
            return .failure(error)
        }
        defer { freeaddrinfo(list) }
        var addresses: [String] = []
        var entry = list
        while let info = entry {
            var name = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            if getnameinfo(
                info.pointee.ai_addr, info.pointee.ai_addrlen, &name, socklen_t(name.count), nil, 0, NI_NUMERICHOST)
                == 0
            {
                let address = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
                if !addresses.contains(address) { addresses.append(address) }
            }
            entry = info.pointee.ai_next
        }
        return addresses.isEmpty
            ? .failure(MQTTError(.dns, "host \(quoted(host)) has no address", phase: .resolve)) : .success(addresses)
    }
}
