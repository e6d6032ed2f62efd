// SPDX-License-Identifier: Apache-2.0

/// The handshake of a client with a SOCKS5 proxy, after which the proxy forwards bytes to the broker (RFC 1928, RFC
/// 1929). The proxy resolves the name.
struct SOCKSHandshake {
    private enum Stage {
        case method, authentication, reply
        /// The rest of the reply: the address from which the proxy connects.
        case address
        case done
    }

    /// Number of bytes to read next from the proxy; 0 when the handshake is complete.
    private(set) var needed = 2

    private let proxy: MQTTProxy
    private let endpoint: MQTTEndpoint
    private var stage = Stage.method
    private var received: [UInt8] = []

    init(_ proxy: MQTTProxy, to endpoint: MQTTEndpoint) {
        self.proxy = proxy
        self.endpoint = endpoint
    }

    /// The client's greeting, with the method it supports. As in libmosquitto, the user name determines the method.
    var greeting: [UInt8] { [5, 1, proxy.username == nil ? 0 : 2] }

    /// Handles received bytes, up to ``needed`` of them. Returns the bytes to send next.
    mutating func receive(_ bytes: [UInt8]) throws(MQTTError) -> [UInt8]? {
        received += bytes
        needed -= bytes.count
        if needed > 0 { return nil }
        defer { received = [] }
        switch stage {
        case .method: return try method(received)
        case .authentication:
            guard received[1] == 0 else { throw Self.failure("the proxy refused user name and password") }
            return request()
        case .reply:
            try reply(received)
            return nil
        case .address, .done:
            stage = .done
            return nil
        }
    }

    private mutating func method(_ answer: [UInt8]) throws(MQTTError) -> [UInt8] {
        guard answer[0] == 5 else { throw Self.failure("it is no SOCKS5 proxy") }
        guard answer[1] == greeting[2] else {
            throw Self.failure(
                proxy.username == nil ? "the proxy demands a user name" : "the proxy does not take a user name")
        }
        guard let username = proxy.username else { return request() }
        stage = .authentication
        needed = 2
        let name = Array(username.utf8)
        let password = proxy.password.map { $0.withBytes { Array($0) } } ?? []
        return [1, UInt8(name.count)] + name + [UInt8(password.count)] + password
    }

    private mutating func request() -> [UInt8] {
        stage = .reply
        // Up to the first byte of the address.
        needed = 5
        let host = Array(endpoint.host.utf8)
        // A numeric address is sent as a name, as in libmosquitto: proxies recognize it.
        return [5, 1, 0, 3, UInt8(host.count)] + host + [UInt8(endpoint.port >> 8), UInt8(endpoint.port & 0xFF)]
    }

    private mutating func reply(_ answer: [UInt8]) throws(MQTTError) {
        guard answer[0] == 5 else { throw Self.failure("it is no SOCKS5 proxy") }
        guard answer[1] == 0 else {
            throw Self.failure("the proxy could not connect: \(Self.reasons[answer[1]] ?? "unknown reason")")
        }
        // The first byte of the address was received; two bytes of the port follow the address.
        switch answer[3] {
        case 1: needed = 4 - 1 + 2
        case 3: needed = Int(answer[4]) + 2
        case 4: needed = 16 - 1 + 2
        default: throw Self.failure("it is no SOCKS5 proxy")
        }
        stage = .address
    }

    private static func failure(_ message: String) -> MQTTError { MQTTError(.proxy, message, phase: .connect) }

    private static let reasons: [UInt8: String] = [
        1: "general failure", 2: "not allowed by its rules", 3: "network unreachable", 4: "host unreachable",
        5: "connection refused", 6: "time to live expired", 7: "command not supported", 8: "address type not supported",
    ]
}
