// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The client's handshake of a WebSocket (RFC 6455, section 4.1): the request, and the judgement of the answer. A value
/// without I/O: callers pass the randomness and the time.
struct WebSocketHandshake {
    /// The request, with its secrets.
    private(set) var bytes: [UInt8]

    private let request: MQTTWebSocketRequest
    private let accept: String
    private var reader = HTTPAnswerReader()

    /// The subprotocol of all MQTT versions (MQTT 5.0, section 6).
    static let subprotocol = "mqtt"

    /// - Parameter nonce: 16 random bytes.
    init(_ request: MQTTWebSocketRequest, nonce: [UInt8]) {
        self.request = request
        let key = Data(nonce).base64EncodedString()
        accept = Self.accept(key)
        bytes = Self.compose(request, key: key)
    }

    /// Overwrites the request, which was written. No other array may share its memory, which would be spared.
    mutating func forgetRequest() {
        SecretBytes.cleanse(&bytes)
        bytes = []
    }

    /// Returns the `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key`.
    static func accept(_ key: String) -> String {
        Data(Digest.sha1(Array((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").utf8))).base64EncodedString()
    }

    private static func compose(_ request: MQTTWebSocketRequest, key: String) -> [UInt8] {
        // Large enough that no copy with a secret stays behind in freed memory.
        var bytes: [UInt8] = []
        bytes.reserveCapacity(MQTTWebSocketRequest.maximumSize / 16 + request.size)
        func add(_ text: String) { bytes += text.utf8 }
        add("GET \(request.path)")
        if let query = request.query {
            add("?")
            query.withBytes { bytes += $0 }
        }
        add(" HTTP/1.1\r\nHost: \(request.host)\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        add("Sec-WebSocket-Key: \(key)\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: \(subprotocol)\r\n")
        if let origin = request.origin { add("Origin: \(origin)\r\n") }
        for header in request.headers {
            add("\(header.name): ")
            header.value.withBytes { bytes += $0 }
            add("\r\n")
        }
        add("\r\n")
        return bytes
    }

    // MARK: Answer

    /// Handles received bytes. Returns the number of those that belong to the answer if it accepts the upgrade, and
    /// `nil` if it is incomplete. Throws its refusal, as soon as the bounded part of its body has arrived.
    mutating func receive(_ received: UnsafeRawBufferPointer, now: Date) throws(MQTTError) -> Int? {
        let used: Int
        do throws(HTTPHeadParser.Failure) { used = try reader.read(received) } catch {
            throw Self.error(error, received)
        }
        guard reader.isComplete, let head = reader.head else { return nil }
        if head.status != 101 { throw refusal(head, now) }
        try check(head)
        return used
    }

    /// Returns the error of an answer that is not one of HTTP. Names the protocol of the peer, if it is a known one.
    private static func error(_ failure: HTTPHeadParser.Failure, _ received: UnsafeRawBufferPointer) -> MQTTError {
        let message: String
        switch (failure, ForeignProtocol(received)) {
        case (.notHTTP, .http?):
            // A page without a head.
            return MQTTError(.upgradeRefused, MQTTWebSocketFailure.webServer, phase: .upgrade)
        case (.notHTTP, let known?):
            message = "the server at this port speaks \(known.rawValue), not HTTP; check the port"
        case (.notHTTP, nil):
            message = "the server at this port does not answer in HTTP; check the port, and whether it wants TLS"
        case (.malformed, _): message = "the answer to the upgrade to a WebSocket is malformed"
        case (.tooLarge, _):
            message = "the head of the answer to the upgrade to a WebSocket has more than \(HTTPHeadParser.limit) bytes"
        }
        return MQTTError(.protocolViolation, message, phase: .upgrade)
    }

    /// The refusal, as far as its body has arrived; `nil` before the end of the header.
    func refusal(now: Date) -> MQTTError? {
        guard let head = reader.head, head.status != 101 else { return nil }
        return refusal(head, now)
    }

    private func check(_ head: HTTPResponseHead) throws(MQTTError) {
        guard head.lists("websocket", in: "Upgrade"), head.lists("upgrade", in: "Connection") else {
            throw violation("it answered 101 without an upgrade to websocket")
        }
        // All of it, and only once: another text of the same length is the answer to another request.
        guard head.values(of: "Sec-WebSocket-Accept") == [accept] else {
            throw violation("its Sec-WebSocket-Accept does not belong to the request; a cache may be on the way")
        }
        if !head.values(of: "Sec-WebSocket-Extensions").isEmpty {
            throw violation("it chose an extension that was not offered")
        }
        let chosen = head.values(of: "Sec-WebSocket-Protocol")
        if chosen.isEmpty {
            throw violation("it did not choose the subprotocol \"mqtt\"; is this the path of a broker?")
        }
        if chosen != [Self.subprotocol] {
            let shown = Self.redacted(chosen.joined(separator: ", "), request)
            throw violation("it chose the subprotocol \(quoted(shown)) instead of \"mqtt\"")
        }
    }

    private func violation(_ what: String) -> MQTTError {
        MQTTError(.protocolViolation, "the server broke the WebSocket handshake: \(what)", phase: .upgrade)
    }

    // MARK: Refusal

    private func refusal(_ head: HTTPResponseHead, _ now: Date) -> MQTTError {
        var details = MQTTWebSocketFailure()
        let reason = ForeignText(Self.redacted(head.reason, request), limit: 80).description
        if !reader.body.isEmpty {
            let text = Self.redacted(String(decoding: reader.body, as: UTF8.self), request)
            details.body = ForeignText(text, limit: HTTPAnswerReader.maximumBody).description
        }
        details.server = shown(head.values(of: "Server"), limit: 80)
        details.challenge = shown(head.values(of: "WWW-Authenticate"), limit: 200)
        details.retryAfter = head.values(of: "Retry-After").first.flatMap {
            HTTPDate.delay(
                retryAfter: $0, now: now.timeIntervalSince1970, limit: MQTTWebSocketFailure.longestRetryAfter)
        }
        var error = MQTTError(Self.code(head.status), "", phase: .upgrade)
        error.httpStatus = head.status
        if MQTTWebSocketFailure.isRedirection(head.status), let location = head.values(of: "Location").first {
            details.location = location
            error.serverReference = request.endpoint.target(of: location).map { Self.redacted("\($0)", request) }
        }
        error.webSocket = details
        error.message = message(head.status, reason, details, error.serverReference)
        return error
    }

    /// Returns the values of a field as text without secrets.
    private func shown(_ values: [String], limit: Int) -> String? {
        if values.isEmpty { return nil }
        return ForeignText(Self.redacted(values.joined(separator: ", "), request), limit: limit).description
    }

    private static func code(_ status: Int) -> MQTTError.Code {
        switch status {
        case 401, 403: .notAuthorized
        case 407: .proxy
        default: .upgradeRefused
        }
    }

    private func message(
        _ status: Int, _ reason: String, _ details: MQTTWebSocketFailure, _ target: String?
    ) -> String {
        var message = "the upgrade to a WebSocket was answered with \(status)"
        if !reason.isEmpty { message += " " + reason }
        if let target { message += " to " + target }
        if let body = details.body, !body.hasPrefix("<") { message += ": " + quoted(body) }
        return message + (Self.advice(status, request).map { "; " + $0 } ?? "")
    }

    private static func advice(_ status: Int, _ request: MQTTWebSocketRequest) -> String? {
        if MQTTWebSocketFailure.isFromWebServer(status) { return MQTTWebSocketFailure.webServer }
        return switch status {
        case 401, 403: "the server does not accept the token, the signature or the origin of the request"
        case 404: "check the path \(quoted(request.path))"
        case 407: "a proxy on the way demands a password"
        case 400, 426, 501: "the server knows no WebSocket at this path and port, or demands a header"
        default: nil
        }
    }

    /// Returns a text of the server without the secrets of the request, which it may quote.
    static func redacted(_ text: String, _ request: MQTTWebSocketRequest) -> String {
        QuotedSecrets(request.secrets, shortest: 8).redacted(text)
    }
}
