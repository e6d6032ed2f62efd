// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

/// Emulations from documents: nothing here was compared with the platforms.
@Suite("ClearBlade, HiveMQ Cloud and EMQX, emulated", .turn(.scripted), .timeLimit(.minutes(1)))
struct HostedBrokerTests {
    private let user = MQTTStaticCredentials(username: "kitchen", password: "secret")

    @Test func `ClearBlade takes the profile, and no other client`() async throws {
        let issuer = TestTokenIssuer()
        let broker = try await ScriptedBroker.emulating(
            .clearBlade(project: "p", region: "us-central1", registry: "r", device: "d", tokens: issuer))
        func tokens(_ audience: String, _ lifetime: Duration = .seconds(3_600)) -> MQTTClosureCredentials {
            MQTTClosureCredentials { _ in
                MQTTCredentials(password: MQTTSecret(issuer.token(lifetime: lifetime, audience: audience)))
            }
        }
        func profile(_ tokens: MQTTClosureCredentials) -> MQTTClientConfiguration {
            broker.here(
                .clearBlade(project: "p", region: "us-central1", registry: "r", device: "d", tokens: tokens))
        }
        try await broker.loop(profile(tokens("p")), filter: "/devices/d/commands/#", topic: "/devices/d/events/x")
        #expect(broker.connects.first?.username == "unused")

        #expect(try await broker.reason(of: broker.stranger(tokens("p"))) == "another version than MQTT 3.1.1")
        var stranger = broker.stranger(version: .v3_1_1, tokens("p"))
        #expect(try await broker.reason(of: stranger) == "another client identifier than the device's path")
        stranger.clientID = "projects/p/locations/us-central1/registries/r/devices/d"
        stranger.credentials = tokens("other")
        #expect(try await broker.reason(of: stranger) == "a token for another audience")
        stranger.credentials = tokens("p", .seconds(25 * 3_600))
        #expect(try await broker.reason(of: stranger) == "a token for more than 24 hours")
        stranger.credentials = tokens("p")
        #expect(
            try await broker.reason(of: stranger) {
                try await $0.publish("x", to: "/devices/d/events", qos: .exactlyOnce)
            } == "a message of QoS 2")

        // The profile sends no such token.
        let connects = broker.connects.count
        for bad in [tokens("other"), tokens("p", .seconds(25 * 3_600))] {
            let client = MQTTClient(profile(bad), logger: quiet)
            let log = EventLog(client)
            try await client.start()
            #expect(await log.wait { $0.failures.first?.error.code == .credentials })
            try? await client.shutdown()
        }
        #expect(broker.connects.count == connects)
        await broker.stop()
    }

    @Test func `HiveMQ Cloud takes the profile, and no anonymous client`() async throws {
        let broker = try await ScriptedBroker.emulating(.hiveMQCloud(username: "kitchen", password: "secret"))
        try await broker.loop(
            broker.here(.hiveMQCloud(host: "h", clientID: "c", credentials: user)), filter: "a/#", topic: "a/b")
        #expect(try await broker.reason(of: broker.stranger()) == "an anonymous client")
        await broker.stop()
    }

    @Test func `EMQX Serverless takes the profile, and ends what it refuses before it is sent`() async throws {
        let broker = try await ScriptedBroker.emulating(.emqxServerless(username: "kitchen", password: "secret"))
        let profile = broker.here(.emqx(host: "h", clientID: "c", credentials: user))
        try await broker.loop(profile, filter: "a/#", topic: "a/b")
        #expect(try await broker.reason(of: broker.stranger()) == "an anonymous client")
        let stranger = broker.stranger(user)
        let deep = "a/b/c/d/e/f/g/h/i/j/k"
        #expect(
            try await broker.reason(of: stranger) { try await $0.publish("x", to: deep) }
                == "a topic with more than 10 levels")
        #expect(
            try await broker.reason(of: stranger) { client in
                for number in 0..<20 { try client.enqueue("\(number)", to: "a") }
            } == "more than 10 messages a second")
        #expect(
            try await broker.reason(of: stranger) { try await $0.subscribe(to: MQTTSubscription(deep)) { _ in } }
                == "a subscription to \(deep)")
        let seen = broker.platformRefusals
        try await withRunningClient(profile) { client, _ in
            #expect(await code { try await client.publish("x", to: deep) } == .invalidTopic)
            #expect(
                await code { try await client.subscribe(to: MQTTSubscription(deep)) { _ in } } == .invalidTopicFilter)
            #expect(
                await code {
                    try await client.subscribe(to: (0..<11).map { MQTTSubscription("b/\($0)") }) { _ in }
                } == .unsupported)
            for number in 0..<15 { try client.enqueue("\(number)", to: "a") }
            try await client.publish("last", to: "a")
        }
        #expect(broker.platformRefusals == seen)
        await broker.stop()
    }
}
