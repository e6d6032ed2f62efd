// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing
import Turns

/// An emulation from documents: nothing here was compared with Azure.
@Suite("Azure Event Grid, emulated", .turn(.scripted), .timeLimit(.minutes(1)))
struct AzureEventGridTests {
    private let issuer = TestTokenIssuer()
    private static let audience = "https://eventgrid.azure.net/"

    private func tokens(
        _ audience: String? = Self.audience, lifetime: Duration = .seconds(600)
    ) -> MQTTClosureCredentials {
        MQTTClosureCredentials { [issuer] _ in
            MQTTCredentials(password: MQTTSecret(issuer.token(lifetime: lifetime, audience: audience)))
        }
    }

    private func profile(_ tokens: MQTTClosureCredentials) -> MQTTClientConfiguration {
        .azureEventGrid(
            host: "n.westeurope-1.ts.eventgrid.azure.net", clientID: "session", authentication: .entra(tokens))
    }

    @Test func `takes the profile`() async throws {
        let broker = try await ScriptedBroker.emulating(.azureEventGrid(tokens: issuer))
        try await broker.loop(broker.here(profile(tokens())), filter: "a/#", topic: "a/b")
        #expect(broker.connects.allSatisfy { $0.password == nil })
        await broker.stop()
    }

    @Test func `refuses a token in the password`() async throws {
        let broker = try await ScriptedBroker.emulating(.azureEventGrid(tokens: issuer))
        #expect(try await broker.reason(of: broker.stranger(tokens())) == "a token in the password")
        #expect(
            try await broker.reason(of: broker.stranger(version: .v3_1_1, tokens()))
                == "JWT authentication with MQTT 3.1.1")
        await broker.stop()
    }

    @Test func `refuses a token for another audience, which the profile does not send`() async throws {
        let broker = try await ScriptedBroker.emulating(.azureEventGrid(tokens: issuer))
        var stranger = broker.stranger(tokens("https://management.azure.com/"))
        stranger.authenticator = .token(method: "OAUTH2-JWT")
        #expect(try await broker.reason(of: stranger) == "a token for another audience")

        let connects = broker.connects.count
        let client = MQTTClient(broker.here(profile(tokens("https://management.azure.com/"))), logger: quiet)
        let log = EventLog(client)
        try await client.start()
        #expect(await log.wait { $0.failures.first?.error.message.contains("https://eventgrid.azure.net/") == true })
        #expect(broker.connects.count == connects)
        try? await client.shutdown()
        await broker.stop()
    }

    @Test func `takes each new token on the same connection`() async throws {
        let broker = try await ScriptedBroker.emulating(.azureEventGrid(tokens: issuer))
        var configuration = broker.here(profile(tokens(lifetime: .seconds(8))))
        // Each new token comes four seconds before the expiry of the old one.
        configuration.rotation.refreshAt = 0.3
        try await withRunningClient(configuration) { client, log in
            #expect(await broker.waitUntil { $0.count(of: .auth) >= 4 })
            #expect(await log.rotations.count >= 3)
            #expect(await log.disconnections.isEmpty)
        }
        #expect(broker.connects.count == 1)
        #expect(broker.platformRefusals == [])
        await broker.stop()
    }

    @Test func `ends a connection whose token expires`() async throws {
        let broker = try await ScriptedBroker.emulating(.azureEventGrid(tokens: issuer))
        var configuration = broker.here(profile(tokens(lifetime: .seconds(1))))
        configuration.rotation = MQTTRotationPolicy(method: .reconnectNow, refreshAt: nil)
        try await withRunningClient(configuration) { client, log in
            #expect(await log.wait { $0.disconnections.first?.error.reasonCode == .notAuthorized })
        }
        await broker.stop()
    }

    @Test func `refuses what the profile refuses before it is sent`() async throws {
        let broker = try await ScriptedBroker.emulating(.azureEventGrid(tokens: issuer))
        var stranger = broker.stranger(tokens())
        stranger.authenticator = .token(method: "OAUTH2-JWT")
        stranger.connect.userProperties = [MQTTUserProperty("app", "kitchen")]
        #expect(try await broker.reason(of: stranger) == "user properties of a CONNECT")
        var other = stranger
        other.connect.userProperties = []
        other.authenticator = .token(method: "K8S-SAT")
        #expect(try await broker.reason(of: other) == "another Authentication Method than OAUTH2-JWT")
        var many = stranger
        many.connect.userProperties = []
        many.receiving.maximumFiltersPerSubscribe = 11
        #expect(
            try await broker.reason(of: many) { client in
                try await client.subscribe(to: (0..<11).map { MQTTSubscription("a/\($0)") }) { _ in }
            } == "more than 10 filters in a SUBSCRIBE")

        let seen = broker.platformRefusals
        var invalid = broker.here(profile(tokens()))
        invalid.connect.userProperties = [MQTTUserProperty("app", "kitchen")]
        #expect(await code { try await MQTTClient(invalid, logger: quiet).start() } == .unsupported)
        try await withRunningClient(broker.here(profile(tokens()))) { client, _ in
            let deep = MQTTSubscription("a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p")
            #expect(await code { try await client.subscribe(to: deep) { _ in } } == .invalidTopicFilter)
            #expect(
                await code {
                    try await client.publish([UInt8](repeating: 0, count: 65_537), to: "a", retain: true)
                } == .payloadTooLarge)
            #expect(
                await code {
                    try await client.shutdown(MQTTDisconnect(userProperties: [MQTTUserProperty("a", "b")]))
                } == .unsupported)
        }
        #expect(broker.platformRefusals == seen)
        await broker.stop()
    }
}

@Suite("Azure IoT Hub, emulated", .turn(.scripted), .timeLimit(.minutes(1)))
struct AzureIoTHubTests {
    private static let key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
    private static let hub = "contoso.azure-devices.net"

    private func broker() async throws -> ScriptedBroker {
        try await .emulating(.azureIoTHub(hub: Self.hub, device: "kitchen", key: Self.key))
    }

    private func profile(key: String = Self.key, lifetime: Duration = .seconds(3_600)) -> MQTTClientConfiguration {
        .azureIoTHub(
            hub: Self.hub, device: "kitchen",
            authentication: .sharedAccessKey(MQTTSecret(key), lifetime: lifetime))
    }

    @Test func `takes the profile`() async throws {
        let broker = try await broker()
        try await broker.loop(
            broker.here(profile()), filter: "devices/kitchen/messages/devicebound/#",
            topic: "devices/kitchen/messages/events/")
        await broker.stop()
    }

    @Test func `refuses another version, client identifier, user name and key`() async throws {
        let broker = try await broker()
        var stranger = broker.stranger()
        stranger.clientID = "kitchen"
        #expect(try await broker.reason(of: stranger) == "another version than MQTT 3.1.1")
        #expect(
            try await broker.reason(of: broker.stranger(version: .v3_1_1))
                == "another client identifier than the device")
        stranger.version = .v3_1_1
        stranger.credentials = .static(username: "kitchen", password: "secret")
        #expect(try await broker.reason(of: stranger) == "a user name without hub, device and api-version")
        #expect(
            try await broker.reason(of: broker.here(profile(key: "b3RoZXI="))) == "no valid shared access signature")
        await broker.stop()
    }

    @Test func `rotates its signature before it expires`() async throws {
        let broker = try await broker()
        var configuration = broker.here(profile(lifetime: .seconds(60)))
        configuration.rotation.refreshAt = 0.02
        try await withRunningClient(configuration) { client, log in
            #expect(await log.wait { $0.rotations.count >= 1 })
        }
        #expect(Set(broker.connects.map(\.password)).count >= 2)
        #expect(broker.platformRefusals == [])
        await broker.stop()
    }

    @Test func `ends what the profile refuses before it is sent`() async throws {
        let broker = try await broker()
        var stranger = broker.here(profile())
        stranger.platformLimits = nil
        #expect(
            try await broker.reason(of: stranger) { try await $0.publish("x", to: "telemetry") } == "a topic of its own"
        )
        #expect(
            try await broker.reason(of: stranger) {
                try await $0.publish("x", to: "devices/kitchen/messages/events/", qos: .exactlyOnce)
            } == "a message of QoS 2")
        #expect(
            try await broker.reason(of: stranger) { try await $0.subscribe(to: "commands/#") { _ in } }
                == "a filter of its own")
        let seen = broker.platformRefusals
        try await withRunningClient(broker.here(profile())) { client, _ in
            #expect(await code { try await client.publish("x", to: "telemetry") } == .invalidTopic)
            #expect(await code { try await client.subscribe(to: "commands/#") { _ in } } == .invalidTopicFilter)
            let topic = "devices/kitchen/messages/events/"
            #expect(await code { try await client.publish("x", to: topic, qos: .exactlyOnce) } == .unsupported)
            #expect(await code { try await client.publish("x", to: topic, retain: true) } == .unsupported)
        }
        #expect(broker.platformRefusals == seen)
        await broker.stop()
    }
}
