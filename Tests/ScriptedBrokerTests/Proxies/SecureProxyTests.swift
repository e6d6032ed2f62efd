// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

@Suite("Through a proxy with TLS", .turn(.scripted), .timeLimit(.minutes(2)))
struct SecureProxyTests {
    @Test(arguments: Wire.allCases)
    func `messages of every QoS pass, with TLS in TLS`(wire: Wire) async throws {
        try await SecureProxy.run(wire) { peers in
            try await withRunningClient(peers.configuration()) { client, log in
                let info = try await client.waitUntilConnected(timeout: .seconds(60))
                #expect(info.tls?.version == wire.versionName)
                try await client.subscribe(to: MQTTSubscription("a/#", qos: .exactlyOnce)) { messages in
                    let large = (0..<(1 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 7) }
                    for qos in [MQTTQoS.atMostOnce, .atLeastOnce, .exactlyOnce] {
                        try await client.publish(large, to: "a/\(qos.rawValue)", qos: qos)
                    }
                    var topics: [String] = []
                    for await message in messages {
                        #expect(Array(message.payload) == large)
                        topics.append("\(message.topic)")
                        if topics.count == 3 { break }
                    }
                    #expect(topics == ["a/0", "a/1", "a/2"])
                }
                #expect(await log.failures.isEmpty)
            }
            let request = try #require(peers.proxy.requests.first)
            #expect(peers.proxy.requests.count == 1)
            #expect(request.method == "CONNECT" && request.target == "localhost:\(peers.broker.port)")
            #expect(peers.broker.errors == [])
            #expect(await peers.broker.waitUntil { $0.disconnects == [0] })
        }
    }

    @Test(arguments: [Wire.plain, .wss])
    func `pieces of any size pass, in both sessions of TLS`(wire: Wire) async throws {
        try await SecureProxy.run(wire) { peers in
            for pieces in [TCPProxy.Pieces.single, .random(seed: 1)] {
                let slow = try TCPProxy(to: peers.proxy.port, plan: .init(pieces: pieces))
                var configuration = peers.configuration(port: slow.port)
                configuration.timeouts.connect = .seconds(60)
                configuration.timeouts.tlsHandshake = .seconds(60)
                configuration.timeouts.attempt = .seconds(60)
                try await withRunningClient(configuration) { client, log in
                    for number in 0..<50 { try await client.publish("\(number)", to: "a", qos: .exactlyOnce) }
                    #expect(await log.failures.isEmpty)
                }
            }
            let numbers = (0..<50).map { "\($0)" }
            #expect(peers.broker.publishes.map(\.text) == numbers + numbers)
        }
    }

    @Test func `an answer of single bytes, with all the fields a proxy may add, opens the tunnel`() async throws {
        let answer =
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 Connection established\r\nVia: 1.1 p\r\nX: "
            + String(repeating: "x", count: 100) + "\r\nTransfer-Encoding: chunked\r\n\r\n"
        try await SecureProxy.run(pause: .milliseconds(1), script: [.connectWith(Array(answer.utf8))]) { peers in
            try await withRunningClient(peers.configuration()) { client, log in
                try await client.publish("x", to: "a", qos: .atLeastOnce)
                #expect(await log.failures.isEmpty)
            }
        }
    }

    @Test(arguments: HTTPProxyTests.refusals)
    func `each status leads to its decision, as without TLS`(
        status: Int, decision: MQTTRetryPolicy.Decision
    ) async throws {
        try await SecureProxy.run(
            script: [.answer(status: status, reason: "Why", body: "<html>"), .connect]
        ) { peers in
            try await withRunningClient(peers.configuration()) { _, log in
                if decision == .stop {
                    #expect(await log.wait { $0.stopped != nil })
                } else {
                    #expect(await log.wait { !$0.connections.isEmpty })
                }
                let failure = try #require(await log.failures.first)
                #expect(failure.error.code == .proxy && failure.error.phase == .connect)
                #expect(failure.error.httpStatus == status && failure.error.message.contains("\(status) Why"))
                #expect(failure.decision == decision)
                #expect(await log.wait { $0.failures.count == 1 })
            }
        }
    }

    @Test(arguments: [
        (
            ScriptedHTTPProxy.Script.raw(Array("SSH-2.0-x\r\n".utf8), close: false), MQTTError.Code.proxy,
            "no HTTP proxy"
        ),
        (.raw(Array("HTTP/1.1 200 OK\r\nX".utf8), close: true), .closed, "the proxy closed the connection"),
        (.close, .closed, "the proxy closed the connection"), (.silent, .timeout, "did not answer in time"),
    ])
    func `an answer that is cut, foreign or none is a failed attempt`(
        script: ScriptedHTTPProxy.Script, code: MQTTError.Code, text: String
    ) async throws {
        try await SecureProxy.run(script: [script, .connect]) { peers in
            var configuration = peers.configuration()
            if script == .silent { configuration.timeouts.connect = .seconds(1) }
            try await withRunningClient(configuration) { _, log in
                #expect(await log.wait(timeout: .seconds(60)) { !$0.connections.isEmpty })
                let failure = try #require(await log.failures.first)
                #expect(failure.error.code == code && failure.error.phase == .connect)
                #expect(failure.error.message.contains(text), "\(failure.error)")
                #expect(failure.decision == .retry(.standard))
            }
        }
    }

    @Test func `name and password are sent within TLS`() async throws {
        // "me:hidden"
        try await SecureProxy.run(authorization: "Basic bWU6aGlkZGVu") { peers in
            var configuration = peers.configuration()
            configuration.connection.proxy?.username = "me"
            configuration.connection.proxy?.password = "hidden"
            try await withRunningClient(configuration) { _, log in
                #expect(await log.wait { !$0.connections.isEmpty })
            }
        }
    }

    @Test func `an authorization is asked for anew at once after a 407`() async throws {
        try await SecureProxy.run(authorization: "Bearer rejected") { peers in
            var configuration = peers.configuration()
            configuration.connection.proxy = .https(host: "localhost", port: peers.proxy.port, tls: ProxyTLS.trust) {
                attempt in MQTTSecret("Bearer \(attempt.purpose)")
            }
            try await withRunningClient(configuration) { _, log in
                #expect(await log.wait { $0.connections.count == 1 })
                let failure = try #require(await log.failures.first)
                #expect(failure.error.httpStatus == 407)
                #expect(failure.decision == .retryWithFreshCredentials && failure.retryIn == .zero)
                peers.proxy.authorization = nil
                peers.proxy.dropAll()
                #expect(await log.wait { $0.connections.count == 2 })
            }
            let sent = peers.proxy.requests.map { $0.headers["proxy-authorization"] }
            #expect(sent == ["Bearer connect", "Bearer rejected", "Bearer connect"])
        }
    }

    @Test(arguments: [Wire.tls13, .wss]) func `a rotation goes through the proxy, and loses nothing`(
        wire: Wire
    ) async throws {
        try await SecureProxy.run(wire) { peers in
            var configuration = peers.configuration()
            configuration.credentials = RecordingProvider()
            try await withRunningClient(configuration) { client, log in
                #expect(await log.wait { !$0.connections.isEmpty })
                for number in 0..<50 { try client.enqueue("\(number)", to: "a", qos: .atLeastOnce) }
                try await client.rotateCredentials()
                for number in 50..<100 { try client.enqueue("\(number)", to: "a", qos: .atLeastOnce) }
                #expect(await eventually { Set(peers.broker.publishes.map(\.text)).count == 100 })
            }
            #expect(peers.proxy.requests.count == 2)
        }
    }
}
