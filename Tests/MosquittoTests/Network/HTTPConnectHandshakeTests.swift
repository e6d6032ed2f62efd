// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

@Suite("HTTP CONNECT handshake", .turn(.units))
struct HTTPConnectHandshakeTests {
    private func handshake(
        _ user: (String, MQTTSecret?)? = nil, to endpoint: MQTTEndpoint = MQTTEndpoint(host: "b.c", port: 8_883),
        authorization: MQTTSecret? = nil
    ) -> HTTPConnectHandshake {
        let proxy = MQTTProxy.http(host: "proxy", port: 3_128, username: user?.0, password: user?.1)
        return HTTPConnectHandshake(proxy, to: endpoint, authorization: authorization)
    }

    private func request(_ handshake: HTTPConnectHandshake) -> String {
        String(decoding: handshake.greeting, as: UTF8.self)
    }

    /// Hands the text over in pieces of the size. Returns the number of bytes that belong to the handshake.
    private func receive(
        _ text: String, _ handshake: inout HTTPConnectHandshake, piece: Int = .max
    ) throws(MQTTError) -> Int {
        var (bytes, consumed) = (Array(text.utf8)[...], 0)
        while !bytes.isEmpty, !handshake.isComplete {
            let step = try Array(bytes.prefix(piece)).withUnsafeBytes { buffer in
                Result { () throws(MQTTError) in try handshake.receive(buffer) }
            }.get()
            #expect(step.answer == nil)
            consumed += step.consumed
            bytes = bytes.dropFirst(step.consumed)
        }
        return consumed
    }

    private func failure(_ text: String, _ handshake: HTTPConnectHandshake) -> MQTTError? {
        var handshake = handshake
        do throws(MQTTError) {
            _ = try receive(text, &handshake)
            return nil
        } catch { return error }
    }

    @Test func `the request names the broker, and has no authorization unless there is one`() {
        #expect(
            request(handshake())
                == "CONNECT b.c:8883 HTTP/1.1\r\nHost: b.c:8883\r\nUser-Agent: swift-mosquitto\r\n\r\n")
        #expect(
            request(handshake(to: MQTTEndpoint(host: "fe80::1%eth0", port: 1)))
                .hasPrefix("CONNECT [fe80::1]:1 HTTP/1.1\r\nHost: [fe80::1]:1\r\n"))
    }

    @Test func `a refusal shows no secret that the proxy quotes`() {
        let token = failure(
            "HTTP/1.1 407 Bearer topsecret has expired\r\n\r\n", handshake(authorization: "Bearer topsecret"))
        #expect(token?.message.contains("407 (redacted) has expired") == true, "\(token as Any)")
        let password = failure("HTTP/1.1 407 no geheim here\r\n\r\n", handshake(("u", "geheim")))
        #expect(password?.message.contains("407 no (redacted) here") == true, "\(password as Any)")
    }

    // RFC 7617, section 2 and 2.1.
    @Test(arguments: [
        ("Aladdin", "open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), ("test", "123£", "dGVzdDoxMjPCow=="),
        ("u", nil, "dTo="), ("u", "\r\n:@", "dToNCjpA"),
    ])
    func `name and password are Basic`(username: String, password: String?, encoded: String) {
        let text = request(handshake((username, password.map { MQTTSecret($0) })))
        #expect(text.hasSuffix("\r\nProxy-Authorization: Basic \(encoded)\r\n\r\n"))
    }

    @Test func `a long password is encoded in one line`() {
        let text = request(handshake(("u", MQTTSecret(String(repeating: "p", count: 4_096)))))
        #expect(text.split(separator: "\r\n").count == 4)
    }

    @Test func `an authorization of one's own is sent as it is`() {
        #expect(
            request(handshake(authorization: "Bearer a.b.c")).hasSuffix(
                "\r\nProxy-Authorization: Bearer a.b.c\r\n\r\n"))
    }

    @Test(arguments: [1, 2, 7, .max])
    func `any 2xx opens the tunnel, and what follows belongs to the broker`(piece: Int) throws {
        for head in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HTTP/1.0 200 Connection established\r\n\r\n",
            "HTTP/1.1 299\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        ] {
            var handshake = handshake()
            let consumed = try receive(head + "SSH-2.0", &handshake, piece: piece)
            #expect(handshake.isComplete)
            #expect(consumed == head.utf8.count)
        }
    }

    @Test(arguments: [
        (403, "forbids this host or port (403 Why)"), (429, "limits"), (502, "cannot reach the broker (502 Why)"),
        (504, "cannot reach the broker"), (503, "failed"), (500, "failed"), (302, "captive portal"),
        (400, "check the proxy's host and port"), (404, "does not forward"), (405, "does not forward"),
        (501, "does not forward"), (418, "refused to connect (418 Why)"), (101, "refused to connect"),
        (407, "demands authentication (407 Why): set its username"), (401, "demands authentication (401 Why)"),
    ])
    func `each status has its sentence`(status: Int, text: String) {
        let error = failure("HTTP/1.1 \(status) Why\r\n\r\n", handshake())
        #expect(error?.code == .proxy)
        #expect(error?.phase == .connect)
        #expect(error?.httpStatus == status)
        #expect(error?.message.contains(text) == true, "\(error?.message ?? "no error")")
    }

    @Test func `a 407 tells what the proxy offers, and never what the client sent`() {
        let answer = "HTTP/1.1 407 No\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n"
        #expect(failure(answer, handshake())?.message.contains("it offers Negotiate, Basic: set its username") == true)
        let refused = failure(answer, handshake(("me", "hidden")))
        #expect(refused?.message.contains("does not accept the user name and password (407 No); it offers") == true)
        let token = failure(answer, handshake(authorization: "Bearer hidden"))
        #expect(token?.message.contains("does not accept the authorization (407 No)") == true)
        for error in [refused, token] { #expect(error.map { "\($0)".contains("hidden") } == false) }
    }

    @Test func `foreign text is made printable`() {
        let error = failure(
            "HTTP/1.1 502 \u{202E}evil\u{9B}31m \(String(repeating: "x", count: 500))\r\n\r\n", handshake())
        #expect(error?.message.contains(#"\u{202E}evil\u{9B}31m"#) == true)
        #expect((error?.message.utf8.count ?? 0) < 200)
    }

    @Test(arguments: [
        ("SSH-2.0-OpenSSH\r\n", "it is no HTTP proxy"), ("\u{5}\0", "it is no HTTP proxy"),
        ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "malformed"),
        ("HTTP/1.1 200 OK\r\nA: " + String(repeating: "a", count: 16_384), "more than 16384 bytes"),
    ])
    func `what is no answer is told from one`(text: String, message: String) {
        let error = failure(text, handshake())
        #expect(error?.code == .proxy && error?.httpStatus == nil)
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "no error")")
    }

    @Test func `an authorization that could smuggle a header is refused`() throws {
        try HTTPConnectHandshake.validate("Bearer x")
        try HTTPConnectHandshake.validate(MQTTSecret(String(repeating: "a", count: 8_192)))
        for value in ["", "a\r\nX: y", "a\nb", "a\0", "\u{7F}", String(repeating: "a", count: 8_193)] {
            let error = #expect(throws: MQTTError.self) { try HTTPConnectHandshake.validate(MQTTSecret(value)) }
            #expect(error?.code == .credentials)
        }
    }

    @Test(arguments: [
        MQTTProxy.http(host: "", port: 1), .http(host: "p", port: 0), .http(host: "p", port: 1, username: ""),
        .http(host: "p", port: 1, username: "a:b"), .http(host: "p", port: 1, username: "a\n"),
        .http(host: "p", port: 1, password: "x"),
        .http(host: "p", port: 1, username: String(repeating: "u", count: 1_025)),
        .http(host: "p", port: 1, username: "u", password: MQTTSecret(String(repeating: "p", count: 4_097))),
        both(), socksWithAuthorization(), .https(host: "p", port: 1, tls: MQTTTLSConfiguration(trust: [])),
        .https(host: "p", port: 1, username: "a:b"),
    ])
    func `a proxy that cannot be is refused before any connection`(proxy: MQTTProxy) {
        var configuration = MQTTClientConfiguration(host: "b")
        configuration.connection.proxy = proxy
        let error = #expect(throws: MQTTError.self) { try configuration.validate() }
        #expect(error?.code == .invalidConfiguration)
        #expect(error?.message.contains("proxy") == true)
    }

    private static func both() -> MQTTProxy {
        var proxy = MQTTProxy.http(host: "p", port: 1, username: "u")
        proxy.authorization = { _ in "x" }
        return proxy
    }

    private static func socksWithAuthorization() -> MQTTProxy {
        var proxy = MQTTProxy(host: "p")
        proxy.authorization = { _ in "x" }
        return proxy
    }
}
