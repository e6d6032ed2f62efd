// SPDX-License-Identifier: Apache-2.0

@testable import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A reader of bytes from outside. Whatever they are, it must return or throw a typed error.
///
/// The unit tests call each target with random faults; `scripts/fuzz` gives it to libFuzzer, which compiles this file
/// without the rest of the tests.
enum FuzzTarget: String, CaseIterable, Sendable {
    case packets, connack, socks, http, upgrade, frames, claims, certificate, reference, text

    /// Reads the bytes.
    func read(_ bytes: [UInt8]) {
        switch self {
        case .packets: Self.packets(bytes)
        case .connack: Self.connack(bytes)
        case .socks: Self.socks(bytes)
        case .http: Self.http(bytes)
        case .upgrade: Self.upgrade(bytes)
        case .frames: Self.frames(bytes)
        case .claims: Self.claims(bytes)
        case .certificate: Self.certificate(bytes)
        case .reference: Self.reference(bytes)
        case .text: Self.text(bytes)
        }
    }

    // MARK: A broker's packets

    /// The first byte selects the version and the size of the pieces; a CONNACK precedes the rest, if it does not begin
    /// with one.
    private static func packets(_ bytes: [UInt8]) {
        guard let first = bytes.first else { return }
        let version: MQTTVersion = first & 1 == 0 ? .v5_0 : .v3_1_1
        var decoder = PacketDecoder(
            version: version, maximumPacketSize: 100_000, maximumReasonCodes: 8,
            expectsAuthentication: first & 2 == 0, cleanStart: first & 4 == 0)
        let connack: [UInt8] = version == .v5_0 ? [0x20, 3, 0, 0, 0] : [0x20, 2, 0, 0]
        let stream = (bytes.count > 1 && bytes[1] >> 4 == 2 ? [] : connack) + bytes.dropFirst()
        let step = [1, 3, 64, stream.count][Int(first >> 4) % 4]
        var packets: [ServerPacket] = []
        var rest = stream[...]
        while !rest.isEmpty {
            let piece = rest.prefix(max(1, step))
            rest = rest.dropFirst(piece.count)
            let isDecoded = piece.withUnsafeBytes { bytes in
                do throws(MQTTError) { try decoder.decode(bytes) } catch { return false }
                return true
            }
            decoder.take(&packets)
            for packet in packets { _ = "\(packet)" }
            packets.removeAll()
            guard isDecoded, !decoder.hasEnded else { return }
        }
    }

    /// The bytes are the body of a CONNACK, which libmosquitto judges if the decoder has accepted it.
    private static func connack(_ bytes: [UInt8]) {
        guard let first = bytes.first, bytes.count < 16_384 else { return }
        let version: MQTTVersion = first & 1 == 0 ? .v5_0 : .v3_1_1
        let body = bytes.dropFirst()
        let length: [UInt8] =
            body.count < 128 ? [UInt8(body.count)] : [UInt8(body.count & 127) | 128, UInt8(body.count >> 7)]
        var decoder = PacketDecoder(version: version, maximumPacketSize: 100_000)
        let isDecoded = ([0x20] + length + body).withUnsafeBytes { bytes in
            do throws(MQTTError) { try decoder.decode(bytes) } catch { return false }
            return true
        }
        guard isDecoded else { return }
        var configuration = MQTTClientConfiguration(host: "nobody", tls: nil)
        configuration.version = version
        for case .connack(let connack) in decoder.packets {
            let opening = Opening(
                configuration: configuration, credentials: .anonymous, authentication: nil, loop: loop)
            switch opening.judge(connack) {
            case .success(let connack): _ = "\(connack)"
            case .failure(let error): _ = "\(error)"
            }
        }
    }

    /// libmosquitto connects to a listener of the loop, on one thread: one input after the other.
    private static let loop = EventLoopCore()

    // MARK: A proxy

    /// The first byte selects whether there is a user name; the proxy's bytes come in pieces of any size.
    private static func socks(_ bytes: [UInt8]) {
        guard let first = bytes.first else { return }
        let hasUser = first & 1 == 1
        let proxy = MQTTProxy(host: "proxy", username: hasUser ? "me" : nil, password: hasUser ? "secret" : nil)
        var handshake = SOCKSHandshake(proxy, to: MQTTEndpoint(host: "broker", port: 1_883))
        var rest = bytes.dropFirst()
        while !rest.isEmpty, handshake.needed > 0 {
            let piece = rest.prefix(min(handshake.needed, first & 2 == 0 ? 1 : .max))
            rest = rest.dropFirst(piece.count)
            do throws(MQTTError) { _ = try handshake.receive(Array(piece)) } catch { return }
        }
        precondition(handshake.needed >= 0)
    }

    // MARK: A web server

    /// The first byte selects the size of the pieces.
    private static func http(_ bytes: [UInt8]) {
        guard let first = bytes.first else { return }
        var parser = HTTPHeadParser()
        var rest = bytes.dropFirst()
        while !rest.isEmpty, parser.head == nil {
            let piece = rest.prefix(Int(first) + 1)
            do throws(HTTPHeadParser.Failure) {
                let consumed = try piece.withUnsafeBytes { bytes in
                    Result { () throws(HTTPHeadParser.Failure) in try parser.consume(bytes) }
                }.get()
                precondition(consumed > 0 && consumed <= piece.count)
                rest = rest.dropFirst(consumed)
            } catch { return }
        }
        guard let head = parser.head else { return }
        _ = (head["Connection"], head.lists("upgrade", in: "Connection"))
        check(ForeignText(head.reason).description)
    }

    // MARK: A WebSocket

    /// The bytes are the answer to the request for a WebSocket, in pieces of the size that the first one selects. The
    /// corpus accepts the request of this nonce.
    private static func upgrade(_ bytes: [UInt8]) {
        guard let first = bytes.first else { return }
        let request = MQTTWebSocketRequest(to: .webSocket(host: "broker", query: "signature=geheimnis"))
        var handshake = WebSocketHandshake(request, nonce: Array("the sample nonce".utf8))
        let now = Date(timeIntervalSince1970: 1_800_000_000)
        var rest = bytes.dropFirst()
        while !rest.isEmpty {
            let piece = Array(rest.prefix(Int(first) + 1))
            let result = piece.withUnsafeBytes { bytes in
                Result { () throws(MQTTError) in try handshake.receive(bytes, now: now) }
            }
            switch result {
            case .success(let used?): return precondition(used > 0 && used <= piece.count)
            case .success(nil): rest = rest.dropFirst(piece.count)
            case .failure(let error):
                precondition(error.phase == .upgrade)
                let texts = [error.webSocket?.body, error.webSocket?.server, error.webSocket?.challenge]
                for text in texts.compactMap(\.self) + ["\(error)"] {
                    check(text)
                    precondition(!text.contains("geheimnis"))
                }
                return
            }
        }
        _ = handshake.refusal(now: now)
    }

    /// The bytes are frames of a server, in pieces. No frame may yield more than has arrived, and nothing follows a
    /// failure.
    private static func frames(_ bytes: [UInt8]) {
        guard let first = bytes.first else { return }
        var decoder = WebSocketFrameDecoder()
        var rest = bytes.dropFirst()
        while !rest.isEmpty {
            var piece = Array(rest.prefix(Int(first) + 1))
            rest = rest.dropFirst(piece.count)
            let count = piece.withUnsafeMutableBytes { decoder.decode($0) }
            precondition(count >= 0 && count <= piece.count)
            if let ping = decoder.takePing() { precondition(ping.count <= 125) }
            if let failure = decoder.failure {
                precondition(failure.code == .protocolViolation || failure.code == .closed)
                return check("\(failure)")
            }
        }
    }

    // MARK: An issuer

    /// The bytes are the claims of a token, decoded or as they are.
    private static func claims(_ bytes: [UInt8]) {
        let tokens = [MQTTSecret(bytes: bytes), MQTTSecret("e30.\(base64URL(bytes)).c2ln")]
        for token in tokens {
            if let claims = JWTClaims(token: token) { _ = claims.wait(receivedAt: 1_700_000_000) }
            let credentials = MQTTCredentials(username: nil, password: token)
            if let lifetime = TokenLifetime(credentials, receivedAt: .init(timeIntervalSince1970: 1_700_000_000)) {
                precondition(lifetime.remaining >= .zero && lifetime.remaining <= lifetime.total)
                var jitter = JitterGenerator(seed: 1)
                _ = lifetime.refreshDelay(at: 0.8, jitter: 0.1, using: &jitter)
            }
        }
        _ = TokenText.flaw(TokenText.trimmed(bytes))
    }

    private static func base64URL(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let piece = bytes[start..<min(start + 3, bytes.count)]
            let bits = piece.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - piece.count))
            for index in 0...piece.count { text.append(alphabet[bits >> (18 - 6 * index) & 63]) }
        }
        return String(decoding: text, as: UTF8.self)
    }

    // MARK: A broker's certificate, and its words

    private static func certificate(_ bytes: [UInt8]) {
        guard let certificate = MQTTTLSCertificate(der: bytes) else { return }
        check(certificate.subject)
        check(certificate.issuer)
        check(certificate.serialNumber)
        for name in certificate.subjectAlternativeNames { check(name.description) }
        _ = certificate.publicKeyPin
    }

    /// A server reference (MQTT 5.0, section 4.11).
    private static func reference(_ bytes: [UInt8]) {
        let text = String(decoding: bytes, as: UTF8.self)
        let origin = MQTTEndpoint(host: "broker.example.com", port: 8_883)
        for endpoint in origin.endpoints(of: text) {
            precondition((1...65_535).contains(endpoint.port) && !endpoint.host.isEmpty)
            check(endpoint.description)
        }
    }

    private static func text(_ bytes: [UInt8]) {
        let text = String(decoding: bytes, as: UTF8.self)
        check(ForeignText(text).description)
        precondition(ForeignText(text).description.utf8.count <= ForeignText.limit)
        let escaped = ForeignText.escaping(text)
        check(escaped)
        check(quoted(text))
        // Escaped text is not escaped again.
        precondition(ForeignText.escaping(escaped) == escaped)
        do throws(MQTTError) { try MQTTTopic(text).validate() } catch { check(error.message) }
    }

    /// Text for people must have no character that steers a terminal.
    private static func check(_ shown: String) {
        precondition(!shown.unicodeScalars.contains(where: ForeignText.isUnprintable))
    }
}
