// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

@Suite("The life of a client with WebSockets", .turn(.scripted), .timeLimit(.minutes(2)))
struct WebSocketLifeTests {
    /// A short form of `RotationTests`: the token of each connection is in the URL, in a header and in CONNECT.
    @Test(arguments: [true, false]) func `tokens that expire are replaced in time, and no message is lost`(
        isSecure: Bool
    ) async throws {
        let numbers = Counter()
        try await withWebSocketClient(isSecure: isSecure) {
            $0.credentials = .closure { _ in
                MQTTCredentials(
                    username: "u", password: MQTTSecret("token-number-\(await numbers.next())"),
                    expiresAt: Date.now.addingTimeInterval(2))
            }
            $0.webSocket.prepare = .closure { request, credentials, _ in
                request.query = MQTTSecret("signature=" + (credentials.password?.text ?? ""))
                request.setHeader("Authorization", MQTTSecret("Bearer " + (credentials.password?.text ?? "")))
            }
        } _: { client, broker, log in
            var count = 0
            while await log.rotations.count < 3, count < 10_000 {
                try await client.publish("\(count)", to: "a", qos: .exactlyOnce)
                count += 1
            }
            #expect(broker.publishes.map(\.text) == (0..<count).map(String.init))
            #expect(await log.failures.isEmpty)
            #expect(await log.disconnections.isEmpty)
            let tokens = (1...4).map { "token-number-\($0)" }
            let upgrades = broker.upgrades.prefix(4)
            #expect(upgrades.map(\.path) == tokens.map { "/mqtt?signature=" + $0 })
            #expect(upgrades.map { $0["authorization"] } == tokens.map { "Bearer " + $0 })
            #expect(broker.connects.prefix(4).map(\.password) == tokens)
            #expect(!"\(await log.events)".contains("token-number"))
        }
    }

    @Test(arguments: [Wire.ws, .wss]) func `a will is published when the connection breaks, and not after a DISCONNECT`(
        wire: Wire
    ) async throws {
        let broker = try await ScriptedBroker.start(tls: wire.identity, webSocket: wire.webSocket)
        let way = try TCPProxy(to: broker.port)
        try await withRunningClient(webSocketConfiguration(broker, isSecure: wire.isTLS)) { observer, _ in
            try await observer.subscribe(to: "will/#") { messages in
                for ending in ["lost", "left"] {
                    var configuration = configuration(of: way, wire)
                    configuration.will = MQTTWill(topic: MQTTTopic("will/\(ending)"), payload: "gone")
                    try await withRunningClient(configuration) { client, log in
                        try await client.waitUntilConnected(timeout: .seconds(30))
                        if ending == "lost" {
                            way.end(.reset)
                            #expect(await log.wait { $0.stopped != nil })
                        }
                    }
                }
                #expect(await broker.waitUntil { $0.disconnects == [0] })
                try await observer.publish("end", to: "will/none", qos: .atLeastOnce)
                var topics: [String] = []
                for await message in messages {
                    topics.append("\(message.topic)")
                    if message.payloadString == "end" { break }
                }
                #expect(topics == ["will/lost", "will/none"])
            }
        }
        await broker.stop()
    }

    /// The server answers nothing that is MQTT, and pings at the level of WebSockets go on or not.
    @Test(arguments: [Wire.ws, .wss], [false, true]) func `a server that is silent is left after the keep-alive`(
        wire: Wire, pings: Bool
    ) async throws {
        let broker = try await ScriptedBroker.start(tls: wire.identity, webSocket: wire.webSocket)
        let way = try TCPProxy(to: broker.port)
        var configuration = configuration(of: way, wire)
        configuration.keepAlive = .seconds(5)
        try await withRunningClient(configuration) { client, log in
            try await client.waitUntilConnected(timeout: .seconds(30))
            way.set(.toBroker, .collecting)
            let front = Task {
                while pings {
                    broker.injectBelowWebSocket([0x89, 0])
                    try await Task.sleep(for: .milliseconds(200))
                }
            }
            #expect(await log.wait { $0.stopped != nil })
            front.cancel()
            let error = try #require(await log.terminalError)
            #expect(error.code == .keepAliveTimeout, "\(error)")
        }
        await broker.stop()
    }
}
