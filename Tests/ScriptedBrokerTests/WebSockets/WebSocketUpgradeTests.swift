// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("An answer to the upgrade leads to its decision", .turn(.scripted), .timeLimit(.minutes(2)))
struct WebSocketUpgradeTests {
    /// The status, and the decisions before and after the first connection.
    static let refusals: [(status: Int, first: MQTTRetryPolicy.Decision, later: MQTTRetryPolicy.Decision)] = [
        (200, .retry(.slow), .retry(.slow)), (204, .retry(.slow), .retry(.slow)), (511, .retry(.slow), .retry(.slow)),
        (302, .retry(.slow), .retry(.slow)), (308, .retry(.slow), .retry(.slow)), (400, .stop, .retry(.slow)),
        (404, .stop, .retry(.slow)), (426, .stop, .retry(.slow)), (501, .stop, .retry(.slow)),
        (407, .retry(.slow), .retry(.slow)), (408, .retry(.standard), .retry(.standard)),
        (410, .retry(.slow), .retry(.slow)), (429, .retry(.rateLimited), .retry(.rateLimited)),
        (500, .retry(.standard), .retry(.standard)), (502, .retry(.standard), .retry(.standard)),
        (503, .retry(.standard), .retry(.standard)), (504, .retry(.standard), .retry(.standard)),
    ]

    private static func refusal(_ status: Int) -> ScriptedBroker.WebSocket.Upgrade {
        // RFC 9110, section 6.4.1: 204 has no body.
        .refuse(status: status, reason: "Why", body: status == 204 ? "" : "<html>no</html>")
    }

    @Test(arguments: refusals, [true, false])
    func `each status, before the first connection`(
        refusal: (status: Int, first: MQTTRetryPolicy.Decision, later: MQTTRetryPolicy.Decision), isSecure: Bool
    ) async throws {
        let upgrades = [Self.refusal(refusal.status), .accept()]
        try await withWebSocketClient(.init(upgrades: upgrades), isSecure: isSecure) { _, broker, log in
            if refusal.first == .stop {
                #expect(await log.wait { $0.stopped != nil })
            } else {
                #expect(await log.wait { !$0.connections.isEmpty })
            }
            let failure = try #require(await log.failures.first)
            #expect(await log.wait { $0.failures.count == 1 })
            #expect(failure.error.phase == .upgrade && failure.error.httpStatus == refusal.status)
            #expect(failure.decision == refusal.first, "\(failure.error)")
            #expect((failure.retryIn == nil) == (refusal.first == .stop))
            #expect(broker.upgrades.first?.path == "/mqtt")
        }
    }

    @Test(arguments: refusals)
    func `each status, after the first connection`(
        refusal: (status: Int, first: MQTTRetryPolicy.Decision, later: MQTTRetryPolicy.Decision)
    ) async throws {
        let upgrades = [.accept(), Self.refusal(refusal.status), .accept()]
        try await withWebSocketClient(.init(upgrades: upgrades)) { _, broker, log in
            #expect(await log.wait { $0.connections.count == 1 })
            broker.dropAll()
            #expect(await log.wait { $0.connections.count == 2 })
            #expect(await log.wait { $0.failures.map(\.decision) == [refusal.later] })
        }
    }

    @Test(arguments: [503, 429]) func `a Retry-After is waited for`(status: Int) async throws {
        let upgrades: [ScriptedBroker.WebSocket.Upgrade] = [
            .refuse(status: status, headers: ["Retry-After": "1"]), .accept(),
        ]
        try await withWebSocketClient(.init(upgrades: upgrades)) { _, _, log in
            #expect(await log.wait { !$0.connections.isEmpty })
            let failure = try #require(await log.failures.first)
            #expect(failure.decision == .retry(.rateLimited))
            #expect(failure.retryIn.map { $0 >= .seconds(1) } == true)
            #expect(await log.span >= 1)
        }
    }

    @Test(arguments: [401, 403]) func `a refused token is replaced at once, in URL and header`(status: Int) async throws
    {
        let upgrades: [ScriptedBroker.WebSocket.Upgrade] = [.refuse(status: status), .accept()]
        let provider = RecordingProvider()
        try await withWebSocketClient(.init(upgrades: upgrades)) {
            $0.credentials = provider
            $0.webSocket.prepare = .closure { request, credentials, attempt in
                request.query = MQTTSecret("token=" + (credentials.password?.text ?? ""))
                request.setHeader("X-Token", credentials.password ?? "")
            }
        } _: { _, broker, log in
            #expect(await log.wait { !$0.connections.isEmpty })
            let failure = try #require(await log.failures.first)
            #expect(failure.error.code == .notAuthorized && failure.error.httpStatus == status)
            #expect(failure.decision == .retryWithFreshCredentials && failure.retryIn == .zero)
            #expect(await provider.purposes == [.connect, .rejected])
            #expect(broker.upgrades.map(\.path) == ["/mqtt?token=token-1", "/mqtt?token=token-2"])
            #expect(broker.upgrades.map { $0["x-token"] } == ["token-1", "token-2"])
            let shown = "\(await log.events)"
            #expect(!shown.contains("token-1") && !shown.contains("token-2"))
        }
    }

    @Test func `a rotation has a request of its own`() async throws {
        let provider = RecordingProvider()
        try await withWebSocketClient {
            $0.credentials = provider
            $0.webSocket.prepare = .bearer()
        } _: { client, broker, log in
            #expect(await log.wait { $0.connections.count == 1 })
            for number in 0..<50 { try client.enqueue("\(number)", to: "a", qos: .atLeastOnce) }
            try await client.rotateCredentials()
            for number in 50..<100 { try client.enqueue("\(number)", to: "a", qos: .atLeastOnce) }
            #expect(await eventually { Set(broker.publishes.map(\.text)).count == 100 })
            #expect(broker.upgrades.map { $0["authorization"] } == ["Bearer token-1", "Bearer token-2"])
            #expect(broker.connects.map(\.password) == ["token-1", "token-2"])
        }
    }

    @Test(arguments: [
        (ScriptedBroker.WebSocket.Upgrade.raw(Array("HTTP/1.1 101 S\r\n".utf8), close: true), MQTTError.Code.closed),
        (.close, .closed), (.silent, .timeout), (.raw(Array("SSH-2.0\r\n".utf8), close: false), .protocolViolation),
        (.raw(Array("HTTP/1.1 101 S\r\n\r\n".utf8), close: false), .protocolViolation),
        (.raw(Array(repeating: 0x41, count: 40_000), close: false), .protocolViolation),
        (.accept(headers: ["Sec-WebSocket-Protocol": "chat"]), .protocolViolation),
        (.accept(headers: ["Sec-WebSocket-Extensions": "permessage-deflate"]), .protocolViolation),
    ])
    func `an answer that is cut, late or wrong is a failed attempt`(
        upgrade: ScriptedBroker.WebSocket.Upgrade, code: MQTTError.Code
    ) async throws {
        try await withWebSocketClient(.init(upgrades: [upgrade, .accept()])) {
            if upgrade == .silent { $0.timeouts.upgrade = .milliseconds(300) }
        } _: { _, _, log in
            #expect(await log.wait { !$0.connections.isEmpty })
            let failure = try #require(await log.failures.first)
            #expect(failure.error.code == code && failure.error.phase == .upgrade, "\(failure.error)")
        }
    }

    @Test(arguments: [true, false]) func `an upgrade passes an HTTP proxy`(isSecure: Bool) async throws {
        let proxy = try await ScriptedHTTPProxy.start()
        try await withWebSocketClient(isSecure: isSecure) {
            $0.connection.proxy = .http(host: "127.0.0.1", port: proxy.port)
        } _: { client, broker, _ in
            try await client.publish([UInt8](repeating: 1, count: 1 << 20), to: "a", qos: .exactlyOnce)
            #expect(proxy.requests.map(\.target) == ["localhost:\(broker.port)"])
        }
        await proxy.stop()
    }
}
