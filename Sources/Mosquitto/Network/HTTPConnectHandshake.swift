// SPDX-License-Identifier: Apache-2.0

import CMosquitto

/// The handshake of a client with an HTTP proxy: a CONNECT request, and the head of the answer (RFC 9110, section
/// 9.3.6). The proxy resolves the name.
struct HTTPConnectHandshake: ProxyHandshake {
    private let proxy: MQTTProxy
    private let endpoint: MQTTEndpoint
    /// The value of Proxy-Authorization from ``MQTTProxy/authorization``.
    private let authorization: MQTTSecret?
    private var parser = HTTPHeadParser()
    private(set) var isComplete = false

    init(_ proxy: MQTTProxy, to endpoint: MQTTEndpoint, authorization: MQTTSecret? = nil) {
        self.proxy = proxy
        self.endpoint = endpoint
        self.authorization = authorization
    }

    /// The request. A scope ("%eth0") means nothing to another machine, and is left out.
    var greeting: [UInt8] {
        let host = endpoint.host.contains(":") ? "[\(endpoint.host.prefix { $0 != "%" })]" : endpoint.host
        let authority = "\(host):\(endpoint.port)"
        var request = Array(
            "CONNECT \(authority) HTTP/1.1\r\nHost: \(authority)\r\nUser-Agent: swift-mosquitto\r\n".utf8)
        // No growth, which would leave a copy of the secret behind.
        request.reserveCapacity(request.count + 16_384)
        if let authorization {
            request += Array("Proxy-Authorization: ".utf8)
            authorization.withBytes { request += $0 }
            request += Array("\r\n".utf8)
        } else if let username = proxy.username {
            request += Array("Proxy-Authorization: Basic ".utf8)
            Self.append(username, proxy.password, to: &request)
            request += Array("\r\n".utf8)
        }
        request += Array("\r\n".utf8)
        return request
    }

    /// Appends name and password in base 64 (RFC 7617, section 2).
    private static func append(_ username: String, _ password: MQTTSecret?, to request: inout [UInt8]) {
        var pair: [UInt8] = []
        pair.reserveCapacity(username.utf8.count + 1 + (password?.count ?? 0))
        pair += Array(username.utf8)
        pair.append(UInt8(ascii: ":"))
        password?.withBytes { pair += $0 }
        // OpenSSL writes a NUL after the text.
        var encoded = [UInt8](repeating: 0, count: (pair.count + 2) / 3 * 4 + 1)
        let count = EVP_EncodeBlock(&encoded, pair, Int32(pair.count))
        request += encoded[..<Int(count)]
        SecretBytes.cleanse(&pair)
        SecretBytes.cleanse(&encoded)
    }

    mutating func receive(
        _ bytes: UnsafeRawBufferPointer
    ) throws(MQTTError) -> (consumed: Int, answer: [UInt8]?) {
        let consumed: Int
        do throws(HTTPHeadParser.Failure) {
            consumed = try parser.consume(bytes)
        } catch {
            throw Self.failure(error)
        }
        guard let head = parser.head else { return (consumed, nil) }
        // Any 2xx opens the tunnel, without a body whatever the header fields say.
        guard (200...299).contains(head.status) else { throw refusal(head) }
        isComplete = true
        return (consumed, nil)
    }

    /// Checks a value for Proxy-Authorization.
    static func validate(_ authorization: MQTTSecret) throws(MQTTError) {
        let problem: String? = authorization.withBytes { bytes in
            if bytes.isEmpty { return "is empty" }
            if bytes.count > 8_192 { return "has \(bytes.count) bytes; at most 8192 are allowed" }
            return bytes.contains { $0 < 0x20 || $0 == 0x7F } ? "has a control character, such as a line feed" : nil
        }
        if let problem {
            throw MQTTError(.credentials, "the proxy's authorization \(problem)", phase: .credentials)
        }
    }

    // MARK: Failures

    private static func failure(_ failure: HTTPHeadParser.Failure) -> MQTTError {
        switch failure {
        case .notHTTP: MQTTError(.proxy, "it is no HTTP proxy: its answer is not HTTP", phase: .connect)
        case .malformed: MQTTError(.proxy, "the proxy's answer to CONNECT is malformed", phase: .connect)
        case .tooLarge:
            MQTTError(
                .proxy, "the proxy's answer to CONNECT has more than \(HTTPHeadParser.limit) bytes", phase: .connect)
        }
    }

    private func refusal(_ head: HTTPResponseHead) -> MQTTError {
        let reason = ForeignText(redacted(head.reason), limit: 80).description
        let answer = "\(head.status)" + (reason.isEmpty ? "" : " " + reason)
        let text =
            switch head.status {
            case 407, 401: authenticationFailure(head, answer)
            case 403:
                "the proxy forbids this host or port (\(answer)); its rules must allow CONNECT to port \(endpoint.port)"
            case 429: "the proxy limits its connections (\(answer))"
            case 502, 504: "the proxy cannot reach the broker (\(answer))"
            case 500, 503: "the proxy failed (\(answer)): it cannot reach the broker, or is out of order"
            case 300...399:
                "the proxy redirects instead of connecting (\(answer)): a captive portal, or the proxy's login page"
            case 400, 404, 405, 501:
                "the server at the proxy's port does not forward connections (\(answer)); check the proxy's host and port"
            default: "the proxy refused to connect (\(answer))"
            }
        var error = MQTTError(.proxy, text, phase: .connect)
        error.httpStatus = head.status
        return error
    }

    /// Returns a text of the proxy without the secrets of the request, which it may quote.
    private func redacted(_ text: String) -> String {
        let given = authorization?.text ?? ""
        let secrets = [given, proxy.password?.text ?? ""] + given.split(separator: " ").map(String.init)
        return QuotedSecrets(secrets, shortest: 4).redacted(text)
    }

    private func authenticationFailure(_ head: HTTPResponseHead, _ answer: String) -> String {
        if authorization != nil { return "the proxy does not accept the authorization (\(answer))" }
        let schemes = (head.values(of: "Proxy-Authenticate") + head.values(of: "WWW-Authenticate")).map {
            String($0.prefix { $0 != " " && $0 != "," })
        }.joined(separator: ", ")
        let offer = schemes.isEmpty ? "" : "; it offers \(ForeignText(redacted(schemes), limit: 80))"
        return proxy.username == nil
            ? "the proxy demands authentication (\(answer))\(offer): set its username and password, or its authorization"
            : "the proxy does not accept the user name and password (\(answer))\(offer)"
    }
}
