// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing
import Turns

@testable import Mosquitto

@Suite("Through an HTTP proxy", .turn(.scripted), .timeLimit(.minutes(2)))
struct HTTPProxyTests {
    private func configuration(
        _ broker: ScriptedBroker, _ proxy: ScriptedHTTPProxy, isTLS: Bool = true
    ) -> MQTTClientConfiguration {
        var configuration = testConfiguration(port: broker.port)
        if !isTLS { configuration.tls = nil }
        configuration.connection.proxy = .http(host: "127.0.0.1", port: proxy.port)
        return configuration
    }

    private func withPeers(
        tls: TestIdentity? = TestTLS.identity, authorization: String? = nil, pause: Duration? = nil,
        _ script: [ScriptedHTTPProxy.Script] = [.connect],
        _ body: (ScriptedBroker, ScriptedHTTPProxy) async throws -> Void
    ) async throws {
        let broker = try await ScriptedBroker.start(tls: tls)
        let proxy = try await ScriptedHTTPProxy.start(authorization: authorization, pause: pause, script: script)
        try await body(broker, proxy)
        await proxy.stop()
        await broker.stop()
    }

    @Test(arguments: [true, false])
    func `messages of every QoS pass, and the proxy sees the broker's name only`(isTLS: Bool) async throws {
        try await withPeers(tls: isTLS ? TestTLS.identity : nil) { broker, proxy in
            try await withRunningClient(configuration(broker, proxy, isTLS: isTLS)) { client, _ in
                try await client.subscribe(to: MQTTSubscription("a/#", qos: .exactlyOnce)) { messages in
                    let large = [UInt8](repeating: 7, count: 1 << 20)
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
            }
            let request = try #require(proxy.requests.first)
            #expect(proxy.requests.count == 1)
            #expect(request.method == "CONNECT" && request.target == "localhost:\(broker.port)")
            #expect(request.headers == ["host": "localhost:\(broker.port)", "user-agent": "swift-mosquitto"])
            #expect(broker.errors == [])
        }
    }

    @Test func `an answer of single bytes, with all the fields a proxy may add, opens the tunnel`() async throws {
        let answer =
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 Connection established\r\nVia: 1.1 p\r\nX: "
            + String(repeating: "x", count: 100) + "\r\nTransfer-Encoding: chunked\r\n\r\n"
        try await withPeers(pause: .milliseconds(1), [.connectWith(Array(answer.utf8))]) { broker, proxy in
            try await withRunningClient(configuration(broker, proxy)) { client, log in
                try await client.publish("x", to: "a", qos: .atLeastOnce)
                #expect(await log.failures.isEmpty)
            }
        }
    }

    /// The answer is the failure of the attempt, in whatever order the proxy's name has its addresses.
    @Test(arguments: [["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"]])
    func `a 407 at one of several addresses is answered with a new authorization`(addresses: [String]) async throws {
        try await withPeers(authorization: "Bearer rejected") { broker, proxy in
            var configuration = configuration(broker, proxy)
            configuration.connection.proxy = .http(host: "proxy.example", port: proxy.port) {
                MQTTSecret("Bearer \($0.purpose)")
            }
            let client = MQTTClient(
                configuration, eventLoop: .shared, logger: quiet,
                resolve: ScriptedResolver(.success(addresses)).resolve)
            try await withRunning(client) { client, log in
                try await client.waitUntilConnected(timeout: .seconds(30))
                #expect(await log.wait { $0.failures.map(\.error.httpStatus) == [407] })
            }
        }
    }

    /// The first answer, and the decision that it leads to before the first connection.
    static let refusals: [(status: Int, decision: MQTTRetryPolicy.Decision)] = [
        (407, .stop), (400, .stop), (404, .stop), (405, .stop), (501, .stop), (401, .stop),
        (403, .retry(.slow)), (302, .retry(.slow)), (418, .retry(.slow)), (429, .retry(.rateLimited)),
        (500, .retry(.standard)), (502, .retry(.standard)), (503, .retry(.standard)), (504, .retry(.standard)),
    ]

    @Test(arguments: refusals)
    func `each status leads to its decision, and a proxy that recovers is used`(
        status: Int, decision: MQTTRetryPolicy.Decision
    ) async throws {
        let body = "<html>" + String(repeating: "x", count: 20_000)
        try await withPeers([.answer(status: status, reason: "Why", body: body), .connect]) { broker, proxy in
            try await withRunningClient(configuration(broker, proxy)) { client, log in
                if decision.isFinal {
                    #expect(await log.wait { $0.stopped != nil })
                } else {
                    #expect(await log.wait { !$0.connections.isEmpty })
                }
                let failure = try #require(await log.failures.first)
                #expect(failure.error.code == .proxy && failure.error.phase == .connect)
                #expect(failure.error.httpStatus == status)
                #expect(failure.error.message.contains("\(status) Why"))
                #expect(failure.error.endpoint == "localhost:\(broker.port)")
                #expect(failure.decision == decision)
                #expect((failure.retryIn == nil) == decision.isFinal)
                #expect(await log.wait { $0.failures.count == 1 })
            }
        }
    }

    @Test(arguments: refusals.filter { $0.decision.isFinal }.map(\.status))
    func `after the first connection no status ends the client`(status: Int) async throws {
        try await withPeers([.connect, .answer(status: status), .connect]) { broker, proxy in
            try await withRunningClient(configuration(broker, proxy)) { client, log in
                #expect(await log.wait { $0.connections.count == 1 })
                proxy.dropAll()
                #expect(await log.wait { $0.connections.count == 2 })
                #expect(await log.wait { $0.failures.map(\.decision) == [.retry(.slow)] })
            }
        }
    }

    @Test(arguments: [
        (
            ScriptedHTTPProxy.Script.raw(Array("SSH-2.0-x\r\n".utf8), close: false), MQTTError.Code.proxy,
            "no HTTP proxy"
        ),
        (.raw(Array("HTTP/1.1 200 OK\r\nX".utf8), close: true), .closed, "the proxy closed the connection"),
        (.raw(Array(repeating: 0x41, count: 40_000), close: false), .proxy, "no HTTP proxy"),
        (
            .raw(Array("HTTP/1.1 200 OK\r\n".utf8) + Array(repeating: 0x41, count: 40_000), close: false), .proxy,
            "16384"
        ),
        (.close, .closed, "the proxy closed the connection"), (.silent, .timeout, "did not answer in time"),
    ])
    func `an answer that is cut, endless or none is a failed attempt`(
        script: ScriptedHTTPProxy.Script, code: MQTTError.Code, text: String
    ) async throws {
        try await withPeers([script, .connect]) { broker, proxy in
            var configuration = configuration(broker, proxy)
            if script == .silent { configuration.timeouts.connect = .milliseconds(300) }
            try await withRunningClient(configuration) { _, log in
                #expect(await log.wait(timeout: .seconds(60)) { !$0.connections.isEmpty })
                let failure = try #require(await log.failures.first)
                #expect(failure.error.code == code && failure.error.phase == .connect)
                #expect(failure.error.message.contains(text), "\(failure.error)")
                #expect(failure.decision == .retry(.standard))
            }
        }
    }

    @Test func `name and password are sent, and nobody sees them`() async throws {
        // "me:hidden"
        try await withPeers(authorization: "Basic bWU6aGlkZGVu") { broker, proxy in
            var configuration = configuration(broker, proxy)
            configuration.connection.proxy = .http(
                host: "127.0.0.1", port: proxy.port, username: "me", password: "hidden")
            try await withRunningClient(configuration) { client, log in
                #expect(await log.wait { !$0.connections.isEmpty })
            }
            var dumped = ""
            dump(configuration, to: &dumped)
            #expect(!dumped.contains("hidden"))
            configuration.connection.proxy?.password = "secret"
            try await withRunningClient(configuration) { client, log in
                #expect(await log.wait { $0.stopped != nil })
                let events = await log.events
                #expect(!"\(events)".contains("secret"))
                #expect(await log.wait { $0.failures.map(\.error.httpStatus) == [407] })
            }
        }
    }

    @Test func `an authorization is asked for before each attempt, and anew at once after a 407`() async throws {
        try await withPeers(authorization: "Bearer 2") { broker, proxy in
            let asked = Asked()
            var configuration = configuration(broker, proxy)
            let provider = RecordingProvider()
            configuration.credentials = provider
            configuration.connection.proxy = .http(host: "127.0.0.1", port: proxy.port) { attempt in
                MQTTSecret("Bearer \(await asked.count(attempt))")
            }
            try await withRunningClient(configuration) { client, log in
                #expect(await log.wait { $0.connections.count == 1 })
                let failure = try #require(await log.failures.first)
                #expect(failure.error.httpStatus == 407)
                #expect(failure.decision == .retryWithFreshCredentials && failure.retryIn == .zero)
                #expect(await log.wait { $0.failures.count == 1 })
                #expect(await asked.purposes == [.connect, .rejected])
                // The broker has refused nothing.
                #expect(await provider.purposes == [.connect, .connect])
                proxy.authorization = "Bearer 3"
                proxy.dropAll()
                #expect(await log.wait { $0.connections.count == 2 })
                #expect(await asked.purposes == [.connect, .rejected, .connect])
            }
            #expect(proxy.requests.map { $0.headers["proxy-authorization"] } == ["Bearer 1", "Bearer 2", "Bearer 3"])
        }
    }

    @Test func `an exception is connected to directly`() async throws {
        try await withPeers { broker, proxy in
            var configuration = configuration(broker, proxy)
            configuration.connection.proxy?.exceptions = ["localhost"]
            try await withRunningClient(configuration) { _, log in
                #expect(await log.wait { !$0.connections.isEmpty })
            }
            #expect(proxy.requests.isEmpty)
        }
    }

    @Test func `a rotation goes through the proxy, and loses nothing`() async throws {
        try await withPeers { broker, proxy in
            var configuration = configuration(broker, proxy)
            configuration.credentials = RecordingProvider()
            try await withRunningClient(configuration) { client, log in
                #expect(await log.wait { !$0.connections.isEmpty })
                for number in 0..<50 { try client.enqueue("\(number)", to: "a", qos: .atLeastOnce) }
                try await client.rotateCredentials()
                for number in 50..<100 { try client.enqueue("\(number)", to: "a", qos: .atLeastOnce) }
                #expect(await eventually { Set(broker.publishes.map(\.payloadText)).count == 100 })
            }
            #expect(proxy.requests.count == 2)
        }
    }
}

/// The requests to an authorization.
private actor Asked {
    private(set) var purposes: [MQTTConnectAttempt.Purpose] = []

    func count(_ attempt: MQTTConnectAttempt) -> Int {
        purposes.append(attempt.purpose)
        return purposes.count
    }
}

extension MQTTRetryPolicy.Decision {
    fileprivate var isFinal: Bool { self == .stop }
}

extension ReceivedPublish {
    fileprivate var payloadText: String { String(decoding: payload, as: UTF8.self) }
}
