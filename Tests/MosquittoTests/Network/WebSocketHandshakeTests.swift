// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

@Suite(.turn(.units)) struct `The handshake of a WebSocket` {
    private static let endpoint = MQTTEndpoint.secureWebSocket(
        host: "broker.example.com", query: "signature=abcdefghij")
    /// The nonce of RFC 6455, section 1.3.
    private static let nonce = Array("the sample nonce".utf8)
    private static let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

    private func handshake(_ change: (inout MQTTWebSocketRequest) -> Void = { _ in }) -> WebSocketHandshake {
        var request = MQTTWebSocketRequest(to: Self.endpoint)
        change(&request)
        return WebSocketHandshake(request, nonce: Self.nonce)
    }

    private func answer(_ fields: [String], status: String = "HTTP/1.1 101 Switching Protocols") -> String {
        ([status] + fields + ["", ""]).joined(separator: "\r\n")
    }

    private static let fields = [
        "Upgrade: WebSocket", "Connection: keep-alive, Upgrade", "Sec-WebSocket-Accept: \(accept)",
        "Sec-WebSocket-Protocol: mqtt",
    ]

    /// The result of an answer that arrives in pieces, and after it more bytes.
    private func receive(
        _ text: String, pieceSize: Int = .max, _ handshake: WebSocketHandshake? = nil, now: Date = .now
    ) -> Result<Int?, MQTTError> {
        var handshake = handshake ?? self.handshake()
        var rest = Array(text.utf8)[...]
        var consumed = 0
        do throws(MQTTError) {
            while !rest.isEmpty {
                let piece = Array(rest.prefix(pieceSize))
                let result = piece.withUnsafeBytes { bytes in
                    Result { () throws(MQTTError) in try handshake.receive(bytes, now: now) }
                }
                if let used = try result.get() { return .success(consumed + used) }
                consumed += piece.count
                rest = rest.dropFirst(piece.count)
            }
            return .success(nil)
        } catch {
            return .failure(error)
        }
    }

    private func failure(_ text: String, _ handshake: WebSocketHandshake? = nil, now: Date = .now) throws -> MQTTError {
        let result = receive(text, handshake, now: now)
        guard case .failure(let error) = result else {
            throw MQTTError(.protocolViolation, "it was accepted: \(result)")
        }
        #expect(error.phase == .upgrade)
        return error
    }

    // MARK: Request

    @Test func `has the headers of RFC 6455, those of the request, and no others`() {
        let bytes = handshake {
            $0.origin = "https://example.com"
            $0.headers = [MQTTWebSocketHeader("X-Key", "secret")]
        }.bytes
        #expect(
            String(decoding: bytes, as: UTF8.self)
                == [
                    "GET /mqtt?signature=abcdefghij HTTP/1.1", "Host: broker.example.com", "Upgrade: websocket",
                    "Connection: Upgrade", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13",
                    "Sec-WebSocket-Protocol: mqtt", "Origin: https://example.com", "X-Key: secret", "", "",
                ].joined(separator: "\r\n"))
    }

    @Test(arguments: [
        (MQTTEndpoint.webSocket(host: "a"), "a"), (.webSocket(host: "a", port: 443), "a:443"),
        (.secureWebSocket(host: "a", port: 80), "a:80"), (.secureWebSocket(host: "::1"), "[::1]"),
        (.webSocket(host: "fe80::1%eth0", port: 8080), "[fe80::1]:8080"), (.secureWebSocket(host: "a.b."), "a.b"),
    ])
    func `names the host with its port, unless it is the standard one`(endpoint: MQTTEndpoint, host: String) {
        #expect(MQTTWebSocketRequest(to: endpoint).host == host)
    }

    @Test func `is computed as in the example of RFC 6455`() {
        #expect(WebSocketHandshake.accept("dGhlIHNhbXBsZSBub25jZQ==") == Self.accept)
    }

    // MARK: An accepting answer

    @Test func `succeeds in pieces of each size, and leaves the bytes behind the answer`() throws {
        let text = answer(Self.fields)
        for size in [1, 2, 5, 64, .max] {
            #expect(try receive(text + "\u{82}", pieceSize: size).get() == text.utf8.count)
        }
        #expect(try receive(String(text.dropLast())).get() == nil)
    }

    @Test func `passes over interim answers`() throws {
        let text = answer([], status: "HTTP/1.1 103 Early Hints") + answer(Self.fields)
        #expect(try receive(text).get() == text.utf8.count)
    }

    @Test(arguments: [
        (0, "Upgrade: h2c", "without an upgrade"), (1, "Connection: close", "without an upgrade"),
        (2, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo", "does not belong"),
        (2, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=x", "does not belong"),
        (2, "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "does not belong"), (2, "X: y", "does not belong"),
        (3, "X: y", "did not choose the subprotocol"), (3, "Sec-WebSocket-Protocol: amqp", #"subprotocol "amqp""#),
        (3, "Sec-WebSocket-Protocol: mqtt, amqp", "instead of"), (3, "Sec-WebSocket-Protocol: MQTT", "instead of"),
    ])
    func `fails for a wrong field`(index: Int, field: String, message: String) throws {
        var fields = Self.fields
        fields[index] = field
        let error = try failure(answer(fields))
        #expect(error.code == .protocolViolation && error.message.contains(message), "\(error)")
    }

    @Test(arguments: ["Sec-WebSocket-Extensions: permessage-deflate", "Sec-WebSocket-Accept: \(accept)"])
    func `fails for an unwanted field`(field: String) throws {
        #expect(try failure(answer(Self.fields + [field])).code == .protocolViolation)
    }

    // MARK: A refusing answer

    private func refusal(
        _ status: String, _ fields: [String] = [], body: String = "", now: Date = .now,
        _ change: (inout MQTTWebSocketRequest) -> Void = { _ in }
    ) throws -> MQTTError {
        try failure(
            answer(fields + ["Content-Length: \(body.utf8.count)"], status: "HTTP/1.1 " + status) + body,
            handshake(change), now: now)
    }

    @Test(arguments: [
        ("401 Unauthorized", MQTTError.Code.notAuthorized), ("403 Forbidden", .notAuthorized), ("407 Proxy", .proxy),
        ("400 Bad Request", .upgradeRefused), ("404 Not Found", .upgradeRefused), ("200 OK", .upgradeRefused),
        ("500 Oops", .upgradeRefused), ("302 Found", .upgradeRefused),
    ])
    func `has a code for its status, and the text of the server`(status: String, code: MQTTError.Code) throws {
        let error = try refusal(status, body: "the reason\u{7}")
        #expect(error.code == code && error.httpStatus == Int(status.prefix(3)))
        #expect(error.message.hasPrefix("the upgrade to a WebSocket was answered with \(status)"))
        #expect(error.message.contains(#""the reason\u{7}""#) && error.webSocket?.body == #"the reason\u{7}"#)
    }

    @Test func `has the delay that the server asks for, at most an hour`() throws {
        let now = Date(timeIntervalSince1970: 784_111_777)
        func delay(_ text: String) throws -> Duration? {
            try refusal("503 Busy", ["Retry-After: " + text], now: now).retryAfter
        }
        #expect(try delay("7") == .seconds(7))
        #expect(try delay("Sun, 06 Nov 1994 08:50:37 GMT") == .seconds(60))
        #expect(try delay("Sun, 06 Nov 1994 08:48:37 GMT") == nil)
        #expect(try delay("Sun, 06 Nov 2094 08:49:37 GMT") == .seconds(3_600))
        #expect(try delay("86400") == .seconds(3_600))
        #expect(try delay("soon") == nil)
    }

    @Test func `shows the target of a redirection without its query`() throws {
        let error = try refusal("307 Moved", ["Location: wss://other.example.com:8443/a?token=geheim"])
        #expect(error.serverReference == "wss://other.example.com:8443/a?…")
        #expect(error.webSocket?.location == "wss://other.example.com:8443/a?token=geheim")
        var dumped = "\(error)"
        dump(error, to: &dumped)
        #expect(!dumped.contains("geheim"))
    }

    @Test func `shows no secret that the server quotes`() throws {
        let body = "signature=abcdefghij is old, abcdefghij, and so is topsecret-token, says Bearer topsecret-token"
        let error = try refusal("403 abcdefghij", body: body) {
            $0.setHeader("Authorization", "Bearer topsecret-token")
        }
        var dumped = "\(error)"
        dump(error, to: &dumped)
        #expect(!dumped.contains("abcdefghij") && !dumped.contains("topsecret"), "\(dumped)")
        #expect(dumped.contains("(redacted)"))
    }

    @Test func `shows no secret that the server has decoded, cut or named a place with`() throws {
        let decoded = try refusal("403 No", body: "bad token abcd+efgh==") {
            $0.query = "access_token=abcd%2Befgh%3D%3D&flag"
        }
        let cut = try refusal("403 No", body: String(repeating: "x", count: 8_180) + "topsecret-token") {
            $0.setHeader("Authorization", "Bearer topsecret-token")
        }
        #expect(decoded.webSocket?.body == "bad token (redacted)")
        #expect(cut.webSocket?.body?.hasSuffix("x(redacted)") == true)
        var request = MQTTWebSocketRequest(to: .webSocket(host: "b"))
        request.setHeader("Authorization", "Bearer topsecret-token")
        #expect(WebSocketHandshake.redacted("invalid topsecret-tok", request) == "invalid (redacted)")
        #expect(WebSocketHandshake.redacted("a Bearer", request) == "a Bearer")
        // Found by the fuzz test: a combining mark makes the last letter another character.
        #expect(!WebSocketHandshake.redacted("topsecret-token\u{301} it is", request).contains("topsecret"))
    }

    @Test func `shows no secret in the place of a redirection`() throws {
        var request = MQTTWebSocketRequest(to: .webSocket(host: "b"))
        request.setHeader("Authorization", "Bearer topsecret-token")
        var handshake = WebSocketHandshake(request, nonce: [UInt8](repeating: 0, count: 16))
        let answer = "HTTP/1.1 302 Found\r\nLocation: /denied/topsecret-token\r\nContent-Length: 0\r\n\r\n"
        let result = Array(answer.utf8).withUnsafeBytes { bytes in
            Result { () throws(MQTTError) in try handshake.receive(bytes, now: .now) }
        }
        let error = try #require(throws: MQTTError.self) { _ = try result.get() }
        #expect(error.serverReference?.hasSuffix("/denied/(redacted)") == true)
        #expect(!"\(error)".contains("topsecret"))
    }

    @Test func `shows no secret in the name of a subprotocol`() throws {
        var request = MQTTWebSocketRequest(to: .webSocket(host: "b"))
        request.setHeader("Authorization", "Bearer topsecret-token")
        let nonce = [UInt8](repeating: 0, count: 16)
        var handshake = WebSocketHandshake(request, nonce: nonce)
        let answer =
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            + WebSocketHandshake.accept(Data(nonce).base64EncodedString())
            + "\r\nSec-WebSocket-Protocol: topsecret-token\r\n\r\n"
        let result = Array(answer.utf8).withUnsafeBytes { bytes in
            Result { () throws(MQTTError) in try handshake.receive(bytes, now: .now) }
        }
        let error = try #require(throws: MQTTError.self) { _ = try result.get() }
        #expect(error.message.contains("the subprotocol \"(redacted)\""), "\(error)")
    }

    @Test func `forgets its request once it is written`() {
        var handshake = WebSocketHandshake(
            MQTTWebSocketRequest(to: .webSocket(host: "b")), nonce: [UInt8](repeating: 0, count: 16))
        #expect(!handshake.bytes.isEmpty)
        handshake.forgetRequest()
        #expect(handshake.bytes.isEmpty)
    }

    @Test func `keeps 8 KiB of a body, and reads no more`() throws {
        let error = try failure(
            answer(["Content-Length: 1000000"], status: "HTTP/1.1 500 Oops") + String(repeating: "x", count: 9_000))
        #expect(error.webSocket?.body?.utf8.count == 8_192)
    }

    @Test func `joins the chunks of a body`() throws {
        let text = answer(["Transfer-Encoding: chunked"], status: "HTTP/1.1 403 No")
        #expect(try failure(text + "3\r\nold\r\n6;x=y\r\n token\r\n0\r\n\r\n").webSocket?.body == "old token")
        #expect(try receive(text + "3\r\nold\r\n").get() == nil)
    }

    @Test func `is known from its head, while its body has yet to come`() throws {
        var handshake = handshake()
        let head = Array(answer(["Content-Length: 10"], status: "HTTP/1.1 403 No").utf8)
        #expect(handshake.refusal(now: .now) == nil)
        let result = head.withUnsafeBytes { bytes in
            Result { () throws(MQTTError) in try handshake.receive(bytes, now: .now) }
        }
        #expect(try result.get() == nil)
        #expect(handshake.refusal(now: .now)?.httpStatus == 403)
    }

    // MARK: No HTTP

    @Test(arguments: [
        ("<html><body>Log in</body></html>", MQTTError.Code.upgradeRefused, "captive portal"),
        ("SSH-2.0-OpenSSH_9.2\r\n", .protocolViolation, "speaks SSH"), ("\u{20}\u{2}", .protocolViolation, "HTTP"),
        ("HTTP/1.1 OK\r\n\r\n", .protocolViolation, "malformed"),
    ])
    func `fails for a peer of another protocol`(text: String, code: MQTTError.Code, message: String) throws {
        let error = try failure(text)
        #expect(error.code == code && error.message.contains(message), "\(error)")
    }

    @Test func `fails for a head of more than 16 KiB`() throws {
        let text = answer(["X: " + String(repeating: "y", count: 17_000)])
        #expect(try failure(text).message.contains("more than 16384 bytes"))
    }

    @Test func `of random answers never traps`() {
        var generator = JitterGenerator(seed: 22)
        let text = Array(answer(Self.fields).utf8)
        for _ in 0..<3_000 {
            var damaged = text
            for _ in 0...Int.random(in: 0...3, using: &generator) {
                damaged[Int.random(in: 0..<text.count, using: &generator)] = UInt8.random(
                    in: 0...255, using: &generator)
            }
            _ = receive(String(decoding: damaged, as: UTF8.self), pieceSize: Int.random(in: 1...90, using: &generator))
        }
    }
}
